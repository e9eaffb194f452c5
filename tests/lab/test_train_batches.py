"""Which examples a step has, and with which weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symptoms.data import Example, Label
from symptoms.errors import InputError
from symptoms.settings import TrainingSettings
from symptoms.tokens import TokenizedExample, as_tokenizer, emphasise_concern, tokenize
from symptoms.train.request.training_data import TrainingData
from symptoms.train.step_datums import Batches
from symptoms.train.step_plan import count_steps, plan_steps
from symptoms.train.tokenized_job import prepare
from tiny_models import tiny_tokenizer

ORDERS = st.sampled_from([{"shuffle": False}, {}, {"balanced": True}])


def config(**settings: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"data": "x", **settings})


def concerns(examples: int) -> list[str]:
    """Names of three concerns for so many examples, the first the most frequent."""
    return ["aaabbc"[number % 6] for number in range(examples)]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), ORDERS)
def test_an_epoch_has_every_example_once(
    examples: int, size: int, accumulation: int, epochs: int, order: dict[str, bool]
):
    """No example is dropped or repeated within an epoch, however uneven its last step is."""
    settings = config(batch_size=size, gradient_accumulation=accumulation, epochs=epochs, **order)
    steps = list(plan_steps(settings, concerns(examples)))
    assert [step.number for step in steps] == list(range(1, count_steps(settings, examples) + 1))
    for epoch in range(1, epochs + 1):
        mine = [step for step in steps if step.epoch == epoch]
        assert sorted(index for step in mine for index in step.indices) == list(range(examples))
        assert [step.ends_epoch for step in mine] == [False] * (len(mine) - 1) + [True]
    assert all(len(batch) <= size for step in steps for batch in step.batches)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 60), st.integers(0, 5), ORDERS)
def test_a_plan_goes_on_where_it_was_cut(
    examples: int, size: int, after: int, seed: int, order: dict[str, bool]
):
    """The steps after any step are those that an uncut plan has there."""
    settings = config(batch_size=size, steps=60, seed=seed, **order)
    whole = list(plan_steps(settings, concerns(examples)))
    assert list(plan_steps(settings, concerns(examples), after=after)) == whole[after:]


def test_orders_differ_by_epoch_and_seed():
    """Each epoch and each seed has an order of its own, and without shuffling it is the file's."""
    first, second = (step.indices for step in plan_steps(config(batch_size=50, epochs=2), ["a"] * 50))
    other = next(plan_steps(config(batch_size=50, seed=1), ["a"] * 50)).indices
    assert len({first, second, other, tuple(range(50))}) == 4
    unshuffled = next(plan_steps(config(batch_size=50, shuffle=False), ["a"] * 50))
    assert unshuffled.indices == tuple(range(50))


@given(st.integers(1, 6), st.integers(1, 8), st.integers(0, 5))
def test_balanced_batches_hold_each_concern_once(kinds: int, each: int, seed: int):
    """With as many examples of each concern, every batch of as many examples as concerns has all of them."""
    names = [str(number % kinds) for number in range(kinds * each)]
    for step in plan_steps(config(batch_size=kinds, balanced=True, seed=seed, epochs=2), names):
        assert sorted(names[index] for index in step.indices) == sorted(set(names))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_a_rare_concern_is_dealt_over_the_whole_epoch(rare: int, common: int, seed: int):
    """Up to any place, there are as many of a concern as its share of all says, give or take two."""
    names = ["rare"] * rare + ["common"] * common
    dealt = [
        names[step.indices[0]]
        for step in plan_steps(config(batch_size=1, balanced=True, seed=seed, epochs=1), names)
    ]
    assert sorted(dealt) == sorted(names)
    for end in range(1, len(dealt) + 1):
        assert abs(dealt[:end].count("rare") - end * rare / len(names)) <= 2


def test_a_warm_up_that_never_ends_is_refused():
    """A warm-up as long as the run is told, and not trained."""
    with pytest.raises(InputError, match="warmup_steps 10 must be fewer than the 10 steps"):
        count_steps(config(batch_size=1, epochs=1, warmup_steps=10), 10)


EXAMPLES = [
    TokenizedExample((1,) * 6, (0, 0, 1, 1, 1, 1)),
    TokenizedExample((1,) * 4, (0, 0, 1, 1)),
    TokenizedExample((1,) * 3, (0, 0, 1)),
]


def weights_of(**settings: object) -> list[list[float]]:
    """The weights of the three examples in one step of two uneven batches."""
    chosen = config(batch_size=2, gradient_accumulation=2, shuffle=False, **settings)
    step = next(plan_steps(chosen, ["a"] * 3))
    datums = [datum for batch in Batches(chosen, EXAMPLES, EXAMPLES, ["a"] * 3).of(step) for datum in batch]
    return [datum.loss_fn_inputs["weights"].tolist() for datum in datums]


def test_a_sum_leaves_weights_as_they_are():
    """The weights of a sum are 0 and 1, shifted as the targets are."""
    assert weights_of(reduction="sum") == [[0, 1, 1, 1, 1], [0, 1, 1], [0, 1]]


def test_a_mean_per_token_divides_by_all_tokens_of_the_step():
    """Every trained token of a step weighs the same, across its batches, and all together 1."""
    weights = weights_of(reduction="mean_per_token")
    assert weights[0][1:] == pytest.approx([1 / 7] * 4)
    assert sum(map(sum, weights)) == pytest.approx(1)


def test_a_mean_per_example_gives_every_example_the_same_say():
    """Each example's weights add up to one share, however long it is."""
    assert [sum(weights) for weights in weights_of(reduction="mean_per_example")] == pytest.approx(
        [1 / 3] * 3
    )


def test_the_concern_line_can_weigh_more():
    """Exactly the tokens of the first line and its line break get the weight."""
    tokenizer = as_tokenizer(tiny_tokenizer())
    output = "Primary concern: Grief\nKey symptoms: crying\nRecommendation: Talk."
    grief = Example("so sad", Label("grief", "Grief"), output=output)
    example = tokenize(tokenizer, grief)
    heavy = emphasise_concern(tokenizer, grief, example, 4.0)
    chosen = [token for token, weight in zip(heavy.tokens, heavy.weights, strict=True) if weight == 4.0]
    assert tokenizer.decode(chosen, skip_special_tokens=False) == " Primary concern: Grief\n"
    assert [weight > 0 for weight in heavy.weights] == [weight > 0 for weight in example.weights]
    assert set(heavy.weights) == {0.0, 1.0, 4.0}
    with pytest.raises(InputError, match="leave them out"):
        emphasise_concern(tokenizer, Example("so sad", output="Grief"), example, 4.0)


def test_examples_are_told_otherwise_in_each_epoch():
    """With vary_inputs each epoch has texts of its own, the same for the same seed, and completions stay."""
    label = Label("a", "Worry")
    texts = [f"I worry about number {number}. It never stops. It has been months." for number in range(12)]
    examples = [Example(text, label, ("worry",), "See a doctor.") for text in texts]
    data = TrainingData(Path("x"), tuple(examples), (label,), "")
    tokenizer = tiny_tokenizer()

    def told(**settings: object) -> list[list[str]]:
        chosen = config(batch_size=12, epochs=2, shuffle=False, **settings)
        job = prepare(chosen, data, None, as_tokenizer(tokenizer), None)
        steps = plan_steps(chosen, job.batches.kinds)
        return [[tokenizer.decode(one.tokens) for one in job.batches.trained_on(step)] for step in steps]

    first, second = told(vary_inputs=True)
    assert first != second
    assert told(vary_inputs=True) == [first, second] != told(vary_inputs=True, seed=1)
    assert all(text.count("Primary concern: Worry") == 1 for text in first + second)
    plain = told()
    assert plain[0] == plain[1] == told(sentence_case=True)[0]
