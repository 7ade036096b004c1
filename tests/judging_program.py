"""A judge as a program: it notes every question in `asked.txt` of its folder, and answers as `answers.json` there says.

A hash of sheet and question is noted, by which a test sees what was asked twice. `answers.json`: "accept": names of the
candidates that are accepted; "text": what is answered instead; "seconds": how long it takes.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

for line in sys.stdin:
    request = json.loads(Path(line.strip()).read_text())
    content = Path(request["sheet"]).read_bytes() + request["question"].encode()
    with open("asked.txt", "a") as asked:
        asked.write(hashlib.sha256(content).hexdigest() + "\n")
    rules = json.loads(Path("answers.json").read_text())
    time.sleep(rules.get("seconds", 0))
    verdicts = [
        {
            "candidate": one["number"],
            "verdict": "accept" if one["name"] in rules["accept"] else "reject",
            "reason": "so",
        }
        for one in request["candidates"]
    ]
    out = Path(request["out"])
    if rules.get("text") != "nothing":
        out.with_suffix(".part").write_text(rules.get("text", json.dumps({"verdicts": verdicts})))
        out.with_suffix(".part").rename(out)
    print(line, end="", flush=True)
