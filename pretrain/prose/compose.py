"""Put sentences together to texts: which facets, in which order, in which kind of writing."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import registers
from grammar import Lexicon, Story, Theme, parse_template
from person import new_person

# What a text may say, in orders that people use. The first facet is often not the complaint itself.
ORDERS = (
    "open detail since detail effect end",
    "open detail detail others cope",
    "scene open detail effect",
    "since open detail cope end",
    "open since detail others end",
    "detail detail open effect others",
    "others open detail since",
    "open detail effect cope detail end",
    "scene detail detail since end",
    "since detail others detail cope",
    "detail effect open since",
    "open scene detail detail end",
    "cope open detail since effect",
    "detail open others end",
    "scene since detail cope end",
    "effect open detail since",
)
SHORT_ORDERS = (
    "open",
    "detail open",
    "open detail",
    "since open",
    "detail detail",
    "scene detail",
    "open end",
    "open since",
    "detail cope",
)
PAST = frozenset(registers.read_words("past"))
PLAIN_STARTS = frozenset(registers.read_words("plain_starts"))


class Composer:
    """Writes one text after another from a lexicon."""

    def __init__(self, lexicon: Lexicon, random: Random) -> None:
        self.lexicon = lexicon
        self.random = random
        self.by_name = {theme.name: theme for theme in lexicon.themes}
        self.names = frozenset(row[0] for row in lexicon.people["names"])
        # A theme is as frequent as it is rich, so that thin ones do not repeat themselves.
        self.weighted = [
            theme
            for theme in lexicon.themes
            for _ in range(len(theme.lists["open"]) + len(theme.lists["detail"]))
        ]
        self.kinds: list[tuple[str, Callable[[Story], str]]] = (
            [("account", self.account)] * 42
            + [("note", self.note)] * 10
            + [("forum", self.forum)] * 12
            + [("diary", self.diary)] * 8
            + [("letter", self.letter)] * 6
            + [("dialogue", self.dialogue)] * 12
            + [("article", self.article)] * 10
        )

    def write(self) -> dict[str, str]:
        """`text`, its `kind`, and the `gist` that it ends with, empty where there is none."""
        theme = self.weighted[int(self.random.random() * len(self.weighted))]
        kind, compose = self.kinds[int(self.random.random() * len(self.kinds))]
        if kind == "article" and len(theme.lists.get("third", ())) < 3:
            kind, compose = "account", self.account
        tags, values = new_person(self.lexicon, theme, self.random)
        story = Story(theme, self.lexicon.shared, self.random, tags, values)
        text = compose(story)
        gist = self.gist(story) if kind != "article" and self.random.random() < 0.3 else ""
        return {"text": f"{text}\n{gist}" if gist else text, "kind": kind, "gist": gist}

    # Sentences

    def facet(self, story: Story, facet: str) -> str:
        """One tidy sentence, or a few, of the theme or of what every theme of its kinds shares."""
        shared = self.shared(story, facet)
        own = len(story.theme.lists[facet]) if story.offers(facet) else 0
        # The more a theme has to say of its own, the less it needs what is said everywhere.
        if own and (not shared or self.random.random() < own / (own + len(story.shared[shared[0]]) / 5)):
            name = facet
        elif shared:
            name = shared[0]
        else:
            name = "detail"
        line = story.pick(name)
        sentence = story.expand(line.template)
        if line.label is not None:
            story.labels.append(story.expand(line.label))
        sentence = registers.paraphrase(sentence, self.random)
        if name == "detail":
            sentence = self.placed(story, sentence)
        return registers.fold(registers.tidy(sentence), self.random, self.names)

    def shared(self, story: Story, facet: str) -> list[str]:
        """The lists that all themes of a kind share."""
        return [name for kind in story.theme.settings["kind"] if (name := f"{kind}_{facet}") in story.shared]

    def placed(self, story: Story, sentence: str) -> str:
        """Now and then with a when or where in front, or an afterthought behind.

        Habits in trouble and things that happened on plain days take different ones.
        """
        kind = story.theme.settings["kind"][0]
        chance = self.random.random()
        words = sentence.split(" ", 2)
        if kind not in ("trouble", "plain") or words[0] not in ("I", "We", "My") or len(sentence) > 120:
            return sentence
        verb = words[1].rstrip(",.")
        past = verb.endswith("ed") or verb in PAST
        if past == (kind == "trouble"):
            return sentence
        if chance < 0.45 and sentence.endswith(".") and sentence.count(".") == 1:
            return f"{sentence[:-1]}{story.say(kind + '_afterthought')}."
        if chance < 0.55 or words[0] != "I" or " on " in sentence or "yesterday" in sentence:
            return sentence
        return f"{registers.start_big(story.say(kind + '_when'))} {sentence}"

    def sentences(self, story: Story, orders: tuple[str, ...]) -> list[str]:
        """What a story tells in one of these orders of facets, now and then without one of them."""
        order = orders[int(self.random.random() * len(orders))].split()
        drop = len(order) > 3 and self.random.random() < 0.4
        if drop:
            del order[int(self.random.random() * len(order))]
        said: list[str] = []
        for facet in order:
            if facet == "detail" and "also" in story.theme.settings and self.random.random() < 0.15:
                said.append(self.borrowed(story))
            else:
                said.append(self.facet(story, facet))
        return said

    def borrowed(self, story: Story) -> str:
        """A detail of a neighbouring theme, as troubles seldom come alone."""
        own = story.theme
        also = own.settings["also"]
        story.theme = self.by_name[also[int(self.random.random() * len(also))]]
        sentence = self.facet(story, "detail")
        story.theme = own
        return sentence

    def join(self, story: Story, said: list[str], chatty: float, opens_text: bool = True) -> str:
        """Sentences as a paragraph; the chattier, the more they lean on small words and on each other."""
        random = self.random
        text = ""
        for at, sentence in enumerate(said):
            plain = sentence.split(" ", 1)[0] in PLAIN_STARTS and "?" not in sentence and len(sentence) < 150
            chance = random.random()
            opener = ""
            if plain and chance < chatty * 0.3:
                opener = story.say("start_first" if at == 0 and opens_text else "start")
                sentence = registers.start_big(opener) + " " + registers.start_small(sentence, self.names)
            elif plain and chance > 1 - chatty * 0.12 and sentence.endswith("."):
                sentence = f"{sentence[:-1]}{story.say('tail')}."
            if at and plain and not opener and text.endswith(".") and random.random() < chatty * 0.2:
                link = (" and ", ", and ", " - ", ", ", "; ")[int(random.random() * 5)]
                text = text[:-1] + link + registers.start_small(sentence, self.names)
            else:
                text = f"{text} {sentence}" if text else sentence
        return text

    def voice(self, story: Story, said: list[str], before: str = "", after: str = "") -> str:
        """The paragraph in the person's register, between a greeting or the like and a closing line."""
        random = self.random
        chance = random.random()
        if chance < 0.12:
            text = registers.formal(self.join(story, said, 0.3, not before))
        elif chance < 0.24:
            text = " ".join(registers.terse(s) if random.random() < 0.7 else s for s in said)
        else:
            text = self.join(story, said, random.choice((0.2, 0.5, 0.9, 1.2, 1.7)), not before)
        text = " ".join(part for part in (before, text, after) if part)
        if 0.24 < chance < 0.42:
            return registers.american(text)
        if 0.42 < chance < 0.52:
            return registers.hasty(registers.american(text) if chance < 0.46 else text, random)
        if 0.52 < chance < 0.58:
            return registers.indian(text, random)
        if 0.58 < chance < 0.65:
            return registers.tidy(registers.second_language(text, random))
        return text

    # Kinds of writing

    def account(self, story: Story) -> str:
        """The whole story, now and then behind an introduction."""
        said = self.sentences(story, ORDERS)
        intro = registers.tidy(story.say("intro")) if self.random.random() < 0.33 else ""
        return self.voice(story, said, before=intro)

    def note(self, story: Story) -> str:
        """A few sentences, as jotted down."""
        return self.voice(story, self.sentences(story, SHORT_ORDERS))

    def forum(self, story: Story) -> str:
        """A post with a title, in a forum on the subject."""
        title = (
            story.say("title")
            if "title" in story.theme.lists and self.random.random() < 0.5
            else self.title(story)
        )
        said = self.sentences(story, ORDERS)
        before = registers.tidy(story.say("forum_start")) if self.random.random() < 0.6 else ""
        after = f"{story.theme.settings['kind'][0]}_forum_end"
        after = registers.tidy(story.say(after)) if self.random.random() < 0.6 else ""
        title = registers.start_big(title) if self.random.random() < 0.7 else title.lower()
        return f"{title}\n{self.voice(story, said, before, after)}"

    def title(self, story: Story) -> str:
        """The title of a post, with the story's subject in it."""
        story.kept["topic"] = self.topic(story, story.theme)
        return story.say("title_form")

    def topic(self, story: Story, theme: Theme) -> str:
        """A short everyday name of a theme, true to this text where it is its own theme."""
        names = theme.settings["name"]
        name = parse_template(names[int(self.random.random() * len(names))])
        if theme is story.theme:
            return story.expand(name)
        return Story(theme, story.shared, self.random, story.tags, {}).expand(name)

    def diary(self, story: Story) -> str:
        """An entry under a heading, as diaries have it."""
        said = self.sentences(story, ORDERS)
        head = story.say("diary_head")
        before = registers.tidy(story.say("diary_start")) if self.random.random() < 0.5 else ""
        return f"{registers.start_big(head)}\n{self.voice(story, said, before)}"

    def letter(self, story: Story) -> str:
        """A letter or mail, with greeting and farewell."""
        said = self.sentences(story, ORDERS)
        start, end = registers.tidy(story.say("letter_start")), registers.tidy(story.say("letter_end"))
        body = self.voice(story, said, start, end)
        return f"{story.say('greeting')}\n{body}\n{story.say('farewell')}"

    def dialogue(self, story: Story) -> str:
        """A talk of two, in which one asks and the other tells."""
        speakers = story.say("speakers").split("/")
        known = [f for f in ("since", "others", "cope", "effect") if story.offers(f) or self.shared(story, f)]
        facets = ["open", *self.random.sample([*known, "detail", "detail"], 2)]
        turns: list[str] = []
        for at, facet in enumerate(facets):
            question = registers.tidy(story.say("ask" if at == 0 else f"ask_{facet}"))
            said = [self.facet(story, facet)]
            if self.random.random() < 0.35:
                said.append(self.facet(story, "detail"))
            answer = self.join(story, said, 0.8, opens_text=False)
            turns += [f"{speakers[0]}: {question}", f"{speakers[1]}: {answer}"]
        return "\n".join(turns)

    def article(self, story: Story) -> str:
        """Sentences about people in general, as a page on the subject has them."""
        said: list[str] = []
        for at in range(min(self.random.choice((2, 3, 3, 4, 4, 5)), len(story.theme.lists["third"]))):
            sentence = story.say("third")
            if at and self.random.random() < 0.3 and not sentence.startswith(("Some", "{")):
                sentence = f"{story.say('third_start')} {registers.start_small(sentence, self.names)}"
            said.append(registers.tidy(registers.paraphrase(sentence, self.random)))
        text = " ".join(said)
        if self.random.random() < 0.5:
            story.kept["topic"] = self.topic(story, story.theme)
            text = f"{registers.tidy(story.say('article_head'))}\n{text}"
        return registers.american(text) if self.random.random() < 0.4 else text

    # Read, then name it

    def gist(self, story: Story) -> str:
        """A line at the end that says in everyday words what the text was about."""
        random = self.random
        labels = list(dict.fromkeys(story.labels))
        chance = random.random()
        if labels and chance < 0.4:
            story.kept["listed"] = registers.tidy(self.listed(labels))
            story.kept["listed"] = registers.start_small(story.kept["listed"], self.names)
            story.kept["gist"] = story.say("gist")
            line = story.say("gist_listed")
        elif chance < 0.6:
            topic = self.topic(story, story.theme)
            themes = [self.weighted[int(random.random() * len(self.weighted))] for _ in range(2)]
            others = [self.topic(story, theme) for theme in themes if theme is not story.theme]
            offered = [topic, *others[: random.choice((1, 1, 2))]]
            if len(offered) == 1:
                offered.append("something else")
            random.shuffle(offered)
            story.kept["offered"] = f"{', '.join(offered[:-1])} or {offered[-1]}"
            story.kept["topic"] = topic
            line = story.say("gist_choice")
        else:
            story.kept["gist"] = (
                story.say("gist") if random.random() < 0.75 else self.topic(story, story.theme)
            )
            line = story.say("gist_form")
        return registers.tidy(line)

    def listed(self, labels: list[str]) -> str:
        """Several labels in one phrase, joined as people join them."""
        if len(labels) == 1:
            return labels[0]
        return f"{', '.join(labels[:-1])}{self.random.choice((' and ', ', ', ' and ', '; '))}{labels[-1]}"
