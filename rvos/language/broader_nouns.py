"""What a noun is a sort of: "dog" is an "animal". Everyday things of videos, by closed lists."""

from __future__ import annotations

from collections.abc import Mapping

from rvos.language.nouns import to_singular

_SORTS = {
    "person": """man woman boy girl child kid baby toddler infant adult guy lady gentleman dude teenager player rider
    driver skater skateboarder snowboarder skier surfer cyclist biker dancer runner swimmer climber diver fighter
    wrestler boxer golfer athlete performer singer musician drummer guitarist worker soldier policeman officer fireman
    chef cook farmer fisherman sailor pilot passenger pedestrian parachutist referee coach goalkeeper pitcher batter
    bride groom mother father daughter son brother sister grandmother grandfather student teacher doctor nurse
    clown cowboy spectator motorcyclist trainer vet""",
    "animal": """dog puppy cat kitten kitty horse pony foal cow calf bull ox buffalo bison yak sheep lamb goat pig
    piglet boar donkey mule zebra giraffe elephant lion lioness tiger leopard cheetah panther jaguar bear cub panda
    monkey ape gorilla chimpanzee orangutan lemur baboon kangaroo koala sloth rabbit bunny hare squirrel chipmunk mouse
    rat hamster hedgehog raccoon skunk otter beaver badger weasel ferret meerkat fox wolf coyote deer fawn elk moose
    antelope gazelle camel llama alpaca rhino rhinoceros hippo hippopotamus seal walrus dolphin whale shark ray
    fish goldfish eel octopus squid jellyfish crab lobster shrimp turtle tortoise frog toad lizard gecko chameleon
    iguana crocodile alligator snake python cobra snail slug spider scorpion ant bee beetle butterfly moth dragonfly
    grasshopper caterpillar worm bird""",
    "bird": """parrot parakeet cockatoo budgie canary sparrow robin finch crow raven magpie pigeon dove gull seagull
    duck duckling goose gosling swan hen rooster chicken chick turkey peacock ostrich emu penguin owl eagle hawk falcon
    vulture heron crane stork flamingo pelican hummingbird woodpecker""",
    "vehicle": """car automobile sedan taxi cab van minivan truck lorry pickup bus coach jeep suv ambulance trailer
    tractor bulldozer excavator digger motorcycle motorbike moped scooter bicycle bike tricycle cart wagon carriage
    train tram locomotive subway airplane aeroplane plane jet helicopter glider drone boat ship yacht sailboat
    ferry canoe kayak raft submarine tank snowmobile sled sledge gokart kart""",
    "food": """apple banana orange lemon strawberry grape pear peach melon watermelon carrot tomato potato cucumber
    bread cake pizza sandwich burger cookie egg cheese meat noodle""",
    "furniture": "chair table desk sofa couch bench stool bed cabinet shelf cupboard",
    "plant": "tree bush shrub flower rose grass leaf branch",
    "clothing": "shirt jacket coat dress skirt hat cap helmet glove shoe boot sock scarf trousers jeans",
    "toy": "doll teddy lego yoyo kite balloon puppet",
}
_BROADER = {noun: sort for sort, nouns in _SORTS.items() for noun in nouns.split()}


def find_broader(noun: str, given: Mapping[str, str]) -> str | None:
    """Return what a noun, or the last word of its phrase, is a sort of; None: the lists do not say.

    Args:
        given: noun -> broader noun, before the lists.
    """
    head = noun.split()[-1] if noun.split() else ""
    for table in (given, _BROADER):
        for name in (noun, head, to_singular(head)):
            if name in table:
                return table[name]
    return None
