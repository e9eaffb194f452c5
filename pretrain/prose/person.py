"""Who speaks: age, work, the people around them, and for how long it has been going on."""

from __future__ import annotations

from random import Random

from grammar import Lexicon, Theme

NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEASTS = ("Easter", "Christmas", "New Year", "the summer holidays", "Diwali", "Eid", "half-term")
SEASONS = ("spring", "summer", "autumn", "winter")
# What a theme may ask of its person sets the least age.
YOUNGEST = {"grown": 18, "partner": 20, "worker": 20, "parent": 24, "older": 58}
PRONOUNS = {"she": ("she", "her", "her"), "he": ("he", "him", "his"), "they": ("they", "them", "their")}


def new_person(lexicon: Lexicon, theme: Theme, random: Random) -> tuple[frozenset[str], dict[str, str]]:
    """(tags, values): what lines may ask of the person, and what slots may say about them."""
    rows = lexicon.people
    wanted = theme.settings.get("person", [])
    oldest = 17 if "teen" in wanted else 42 if "parent" in wanted else 85
    youngest = max((YOUNGEST.get(want, 13) for want in wanted), default=13)
    age = min(max(int(random.triangular(youngest, oldest, max(youngest, 30))), youngest), oldest)
    if "worker" in wanted:
        age = min(age, 63)
    woman = random.random() < 0.55 or "woman" in wanted
    stage = stage_of_life(age, random)
    if "worker" in wanted:
        stage = "work"
    suiting = [row for row in rows["jobs"] if row[4] == stage]
    job = suiting[int(random.random() * len(suiting))]
    tags = {"woman" if woman else "man", stage, "teen" if age < 18 else "grown"}
    if age >= 60:
        tags.add("old")
    if 17 < age < 60:
        tags.add("middle")
    partnered = age > 19 and "single" not in wanted and (random.random() < 0.55 or "partner" in wanted)
    parent = "parent" in wanted or (age > 27 and random.random() < 0.45)
    tags.add("partner" if partnered else "single")
    if parent:
        tags.add("children" if age >= 60 else "kids")
    close = pick_relation(rows["close"], tags, age, random)
    other = pick_relation([row for row in rows["other"] if row[0] != close[0]], tags, age, random)
    name, friend, third = random.sample(rows["names"], 3)
    values = {
        "age": str(age),
        "job": job[0],
        "workplace": job[1],
        "task": job[2],
        "clients": job[3],
        "close": close[0],
        "your_close": close[0].replace("my ", "your "),
        "other": other[0],
        "name": name[0],
        "friend": friend[0],
        "neighbour": third[0],
        "day": DAYS[int(random.random() * 7)],
        "month": MONTHS[int(random.random() * 12)],
    }
    values["he"], values["him"], values["his"] = PRONOUNS[close[1]]
    values["ohe"], values["ohim"], values["ohis"] = PRONOUNS[other[1]]
    values["fhe"], values["fhim"], values["fhis"] = PRONOUNS[friend[1]]
    values.update(moment(theme, age, random))
    return frozenset(tags), values


def stage_of_life(age: int, random: Random) -> str:
    """What somebody of this age mostly does: `student`, `work`, `home` or `retired`."""
    if age < 18:
        return "student"
    if age < 24:
        return "student" if random.random() < 0.6 else "work"
    if age >= 66:
        return "retired" if random.random() < 0.9 else "work"
    return "work" if random.random() < 0.86 else "home"


def pick_relation(rows: list[list[str]], tags: set[str], age: int, random: Random) -> list[str]:
    """A row `my wife | she | 20-90 | partner` that fits the age and the tags."""
    while True:
        row = rows[int(random.random() * len(rows))]
        low, high = row[2].split("-")
        if int(low) <= age <= int(high) and all(tag in tags for tag in row[3].split()):
            return row


def moment(theme: Theme, age: int, random: Random) -> dict[str, str]:
    """One stretch of time, said in four ways that fit each other: for, span, ago, since."""
    units = theme.settings.get("time", ["weeks", "months"])
    unit = units[int(random.random() * len(units))]
    if unit == "childhood":
        then = int(random.triangular(4, min(14, age - 3), 8))
        said = NUMBERS[then] if random.random() < 0.7 else str(then)
        span = random.choice(
            ("most of my life", "as long as I can remember", "years and years", "my whole life")
        )
        since = random.choice(
            (
                f"since I was {said}",
                f"since I was about {said}",
                "since primary school",
                "since I was a child",
                "since I was little",
            )
        )
        ago = random.choice(
            (f"when I was {said}", "when I was small", "back in primary school", f"when I was {said} or so")
        )
        return {"for": random.choice((f"for {span}", since)), "span": span, "ago": ago, "since": since}
    if unit == "days":
        number = random.randint(2, 12)
    elif unit == "weeks":
        number = random.choice((2, 2, 3, 3, 4, 5, 6, 6, 7, 8, 10))
    elif unit == "months":
        number = random.choice((2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 14, 18))
    else:
        number = min(random.choice((2, 2, 3, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20)), max(2, age - 12))
    digits = random.random() < 0.2
    count = str(number) if digits else NUMBERS[number]
    prefix = random.choice(("", "", "", "about ", "nearly ", "over ", "at least ", "roughly "))
    span = f"{prefix}{count} {unit}"
    if number == 2 and random.random() < 0.5:
        span = f"a couple of {unit}"
    ago = random.choice((f"{span} ago", f"{span} ago", f"some {count} {unit} back"))
    day, month = random.choice(DAYS), random.choice(MONTHS)
    since = {
        "days": (f"since {day}", f"since last {day}", "since the weekend", f"since {day} night"),
        "weeks": (
            f"since the {random.choice(('start', 'middle', 'end'))} of {month}",
            f"since early {month}",
            f"since {month}",
        ),
        "months": (
            f"since {month}",
            f"since last {random.choice(SEASONS)}",
            f"since {random.choice(FEASTS)}",
        ),
        "years": (
            f"since I was {age - number}" if age - number > 11 else f"since about {number} years ago",
            f"since {2025 - number}",
            f"since I turned {age - number}",
        ),
    }[unit]
    return {"for": f"for {span}", "span": span, "ago": ago, "since": random.choice(since)}
