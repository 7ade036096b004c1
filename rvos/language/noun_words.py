"""Closed classes of English words that tell where a noun phrase begins and ends."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words(
    """a an the this that these those some any each every all both several many few another other no
    my your his her its our their whose one two three four five six seven eight nine ten eleven twelve
    either neither half"""
)
PREPOSITIONS = _words(
    """of in on at by with without from to into onto over under above below beside besides between behind near next
    around through across along against inside outside toward towards off up down for as like after before during
    amid among upon within beneath past opposite out away via per than about beyond underneath alongside atop"""
)
RELATIVES = _words("that which who whom whose where when while what")
AUXILIARIES = _words(
    """is are was were be been being am has have had having do does did can could will would shall should may might
    must isn't aren't wasn't weren't doesn't don't didn't can't gets get got"""
)
CONJUNCTIONS = _words("and or but nor then")
PRONOUNS = _words(
    """it he she they we you i him them us me itself himself herself themselves something someone somebody anything
    everything there here one's ones"""
)
ADVERBS = _words(
    """not also very too only just then again twice once together apart forward forwards backward backwards
    upward upwards downward downwards leftward leftwards rightward rightwards sideways clockwise counterclockwise
    ahead still almost alone now later back-and-forth straight"""
)
ADJECTIVES = _words(
    """red green blue yellow orange black white brown grey gray pink purple violet beige golden gold silver dark light
    bright pale colorful colourful striped spotted plain big large small little tiny huge giant tall short long wide
    narrow thick thin fat round square young old new older younger bigger smaller larger largest smallest biggest
    tallest shortest longest first second third fourth fifth last left right front back middle top bottom upper lower
    center central far near nearest closest farthest furthest rightmost leftmost other same different main whole single
    empty full open closed wooden metal plastic leather furry fluffy hairy bald blonde blond wild male female adult
    beautiful cute slow fast high low wet dry clean dirty heavy most more less"""
)
NOUNS_TOO = _words("square round orange light gold silver male female adult blonde blond plastic metal leather")
"""Adjectives that a sentence may use for the thing itself: "the square", "the adult"."""
POSITIONS = _words(
    """left right front back middle center centre top bottom far near side leftmost rightmost number closest nearest
    farthest furthest"""
)
PARTITIVES = _words(
    """group pair herd piece one two three some all both each several many most bunch couple flock pack set kind type
    row line school crowd team lot number part slice bit any either none series swarm pieces groups pairs
    members member"""
)
NO_ADVERBS = _words(
    """fly butterfly family belly jelly lily ally bully doily holly trolly dragonfly ugly friendly woolly curly silly
    elderly lonely lively lovely jolly"""
)
NO_PARTICIPLES = _words(
    """building thing painting ring wing duckling string king spring swing earring railing ceiling clothing sibling
    gosling sling awning bling darling dumpling pudding wedding evening morning lightning sapling starling sterling
    yearling viking something anything nothing everything herring awing icing stuffing lining"""
)
NO_PAST_FORMS = _words(
    """red bed shed sled weed seed reed bred feed steed breed moped biped quadruped bobsled colored coloured striped
    spotted ped speed hundred"""
)
VERBS = _words(
    """walks holds runs moves stands sits eats drinks looks goes comes jumps plays rides wears turns swims flies climbs
    carries pushes pulls follows chases leads stays remains hangs lies lays keeps makes takes gives puts drives falls
    rolls rotates spins swings throws catches kicks hits bites licks grabs feeds fights crawls dances skates skis surfs
    leaves enters approaches crosses passes faces touches leans bends raises lowers lifts opens closes starts begins
    stops tries appears disappears shakes waves watches waits sleeps rests wrestles hugs pets heads hides reaches
    travels floats slides drifts dives lands hovers slows steps backs shows stretches wags digs sniffs nibbles pecks
    perches walk stand sit eat move go come stay remain jump run swim fly carry follow chase climb lie hang crawl
    approach wrestle walked stood sat ate moved went came ran swam flew held sitting ridden driven worn seen shown
    thrown led kept laid hidden eaten taken given made put bound"""
)
IRREGULAR = {
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "geese": "goose",
    "mice": "mouse",
    "calves": "calf",
    "wolves": "wolf",
    "leaves": "leaf",
    "knives": "knife",
    "feet": "foot",
    "buses": "bus",
}
"""Plural -> singular."""
