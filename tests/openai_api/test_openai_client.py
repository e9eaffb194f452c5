"""The unmodified `openai` client asks the real server, for base models and checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
import tinker
from tinker import AdamParams, ModelInput, SamplingParams, TensorData
from transformers import AutoTokenizer

from symptoms.service import LocalServer
from tiny_models import write_tiny_llama

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}\n"
    "    {%- if message.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}\n"
    "<{{ message.role }}>{% if message.role == 'assistant' %}{% generation %}{{ message.content }}"
    "{% endgeneration %}{% else %}{{ message.content | trim }}{% endif %}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{{ 'loud ' if loud }}{% endif %}"
)
MESSAGES = [
    {"role": "system", "content": "  Be brief. "},
    {"role": "user", "content": "a <b> & c"},
    {"role": "assistant", "content": " yes"},
    {"role": "user", "content": "go on"},
]
TEXT = "I lie awake every night"


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose tokenizer_config.json has a chat template."""
    folder = tmp_path_factory.mktemp("models") / "chat"
    write_tiny_llama(folder, seed=3)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    file.write_text(json.dumps({**settings, "chat_template": TEMPLATE}))
    return folder


@pytest.fixture(scope="module")
def serving(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKER_LOCAL_HOME", str(tmp_path_factory.mktemp("home")))
        with LocalServer(str(chat_model)) as running:
            yield running


@pytest.fixture(scope="module")
def client(serving: LocalServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key=serving.api_key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def model(serving: LocalServer) -> str:
    return serving.base_model


@pytest.fixture(scope="module")
def checkpoint(serving: LocalServer) -> str:
    """Weights trained to go on with the letters of TEXT."""
    tokens = [0, *(AutoTokenizer.from_pretrained(serving.base_model)(TEXT)["input_ids"][1:])]
    datum = tinker.Datum(
        model_input=ModelInput.from_ints(tokens[:-1]),
        loss_fn_inputs={
            "target_tokens": TensorData(data=tokens[1:], dtype="int64"),
            "weights": TensorData(data=[1.0] * (len(tokens) - 1), dtype="float32"),
        },
    )
    with tinker.ServiceClient(base_url=serving.url, api_key=serving.api_key) as service:
        training = service.create_lora_training_client(base_model=serving.base_model, rank=8, seed=1).result()
        for _ in range(60):
            training.forward_backward([datum], "cross_entropy").result()
            training.optim_step(AdamParams(learning_rate=1e-2)).result()
        return training.save_weights_for_sampler("told").result().path


def test_models_are_the_bases_and_the_checkpoints(client: openai.OpenAI, model: str, checkpoint: str):
    """Each can be looked up by its name."""
    assert [found.id for found in client.models.list()] == [model, checkpoint]
    for name in (model, checkpoint):
        assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-4'"):
        client.models.retrieve("gpt-4")


def test_a_checkpoint_completes_what_it_was_trained_on(client: openai.OpenAI, checkpoint: str):
    """A tinker:// path is the model; its answer is the trained text, its end told by the length."""
    answer = client.completions.create(model=checkpoint, prompt=TEXT[:5], temperature=0, max_tokens=18)
    assert answer.choices[0].text == TEXT[5:]
    assert answer.choices[0].finish_reason == "length"
    assert answer.model == checkpoint
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 18)
    assert answer.usage.total_tokens == 24


def test_completions_are_what_the_sdk_samples(client: openai.OpenAI, serving: LocalServer, model: str):
    """The same seed, temperature and top_p draw the same tokens through both protocols."""
    prompt = [0, *range(40, 60)]
    with tinker.ServiceClient(base_url=serving.url, api_key=serving.api_key) as service:
        sampler = service.create_sampling_client(base_model=model).result()
        params = SamplingParams(max_tokens=12, temperature=0.8, top_p=0.9, seed=5)
        sampled = sampler.sample(ModelInput.from_ints(prompt), 3, params).result()
    answer = client.completions.create(
        model=model, prompt=prompt, n=3, max_tokens=12, temperature=0.8, top_p=0.9, seed=5, logprobs=2
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    for choice, sequence in zip(answer.choices, sampled.sequences, strict=True):
        assert choice.text == tokenizer.decode(sequence.tokens, skip_special_tokens=True)
        told = choice.logprobs
        assert told is not None
        # Of a token that ended the text nothing is told.
        expected = (sequence.logprobs or [])[: len(told.token_logprobs or [])]
        np.testing.assert_allclose(told.token_logprobs, expected, atol=1e-5)
        assert len(expected) >= len(sequence.tokens) - 1
        assert all(len(top) <= 2 for top in told.top_logprobs or [])


def test_several_prompts_have_their_choices_in_order(client: openai.OpenAI, checkpoint: str):
    """Texts and token ids; the choices of the first come first."""
    answer = client.completions.create(
        model=checkpoint, prompt=[TEXT[:5], TEXT[:9]], n=2, temperature=0, max_tokens=3
    )
    assert [choice.text for choice in answer.choices] == [TEXT[5:8]] * 2 + [TEXT[9:12]] * 2
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


def test_a_stop_ends_the_text_before_it(client: openai.OpenAI, checkpoint: str):
    """Neither the stop nor what follows it is in the text, streamed or not, and the reason is told."""
    asked = {"model": checkpoint, "prompt": TEXT[:2], "temperature": 0, "max_tokens": 20, "logprobs": 0}
    for stop in ("awake", ["zzz", "awake"], ["k", "awake"]):
        expected = TEXT[2:].split("k" if stop[0] == "k" else "awake")[0]
        whole = client.completions.create(**asked, stop=stop).choices[0]
        assert (whole.text, whole.finish_reason) == (expected, "stop")
        assert whole.logprobs is not None
        assert "".join(whole.logprobs.tokens or []) == expected
        chunks = [chunk.choices[0] for chunk in client.completions.create(**asked, stop=stop, stream=True)]
        assert "".join(chunk.text for chunk in chunks) == expected
        assert [chunk.finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
        streamed = [token for chunk in chunks if chunk.logprobs for token in chunk.logprobs.tokens or []]
        assert "".join(streamed) == expected
    # An empty list is no stop, and does not switch off the end token.
    unstopped = client.completions.create(**asked, stop=[]).choices[0]
    assert unstopped.text == TEXT[2:22]


def test_a_stream_grows_and_ends_with_done(serving: LocalServer, checkpoint: str):
    """Server-sent events, more than one, of which the last two are the usage and [DONE]."""
    body = {"model": checkpoint, "prompt": TEXT[:5], "temperature": 0, "max_tokens": 18, "stream": True}
    body["stream_options"] = {"include_usage": True}
    answer = httpx.post(
        f"{serving.url}/v1/completions",
        json=body,
        headers={"Authorization": f"Bearer {serving.api_key}"},
        trust_env=False,
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.removesuffix("\n\n").split("\n\n")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 6, "completion_tokens": 18, "total_tokens": 24}
    texts = [chunk["choices"][0]["text"] for chunk in chunks[:-1]]
    assert "".join(texts) == TEXT[5:]
    assert sum(bool(text) for text in texts) > 3


def test_a_chat_is_rendered_as_transformers_does(
    client: openai.OpenAI, serving: LocalServer, chat_model: Path, model: str
):
    """The prompt of a chat is, token for token, what the base's own template makes of the messages."""
    tokenizer = AutoTokenizer.from_pretrained(chat_model)
    for more in ({}, {"loud": True}):
        rendered = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False, **more)
        tokens = tokenizer(rendered, add_special_tokens=False)["input_ids"]
        chat = client.chat.completions.create(
            model=model, messages=MESSAGES, temperature=0, max_tokens=8, logprobs=True, top_logprobs=3,
            extra_body={"chat_template_kwargs": more},
        )  # fmt: skip
        plain = client.completions.create(model=model, prompt=tokens, temperature=0, max_tokens=8, logprobs=3)
        choice, same = chat.choices[0], plain.choices[0]
        assert chat.usage is not None
        assert chat.usage.prompt_tokens == len(tokens)
        assert choice.message.role == "assistant"
        assert choice.message.content == same.text
        assert choice.logprobs is not None
        assert same.logprobs is not None
        content = choice.logprobs.content or []
        assert [token.logprob for token in content] == same.logprobs.token_logprobs
        assert all(len(token.top_logprobs) == 3 for token in content)
        # Greedily, the chosen token is the likeliest.
        assert all(token.top_logprobs[0].logprob == token.logprob for token in content)


def test_a_chat_is_streamed(client: openai.OpenAI, model: str):
    """Role first, then the text, for each of the choices."""
    asked = {"model": model, "messages": MESSAGES[:2], "seed": 3, "max_completion_tokens": 10, "n": 2}
    whole = client.chat.completions.create(**asked)
    texts, reasons = ["", ""], [None, None]
    for chunk in client.chat.completions.create(**asked, stream=True):
        choice = chunk.choices[0]
        if choice.delta.role is not None:
            assert texts[choice.index] == ""
        texts[choice.index] += choice.delta.content or ""
        reasons[choice.index] = choice.finish_reason
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]


def test_pieces_of_a_message_are_put_together(client: openai.OpenAI, model: str):
    """Content may come as a list of texts; a picture is refused."""
    parts = [{"type": "text", "text": "a <b>"}, {"type": "text", "text": " & c"}]
    asked = {"model": model, "temperature": 0, "max_tokens": 6}
    one = client.chat.completions.create(**asked, messages=[{"role": "user", "content": parts}])
    other = client.chat.completions.create(**asked, messages=MESSAGES[1:2])
    assert one.choices[0].message.content == other.choices[0].message.content
    picture = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError, match="messages"):
        client.chat.completions.create(**asked, messages=[{"role": "user", "content": picture}])


def test_a_base_without_a_template_is_refused_by_name(server: LocalServer):
    """The sentence says what to do instead."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.api_key, max_retries=0) as made:
        with pytest.raises(openai.BadRequestError, match="has no chat template; send a prompt to"):
            made.chat.completions.create(model=server.base_model, messages=MESSAGES)
        assert made.completions.create(model=server.base_model, prompt="a", max_tokens=2).choices


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"5": 10}}, "logit_bias"),
        ({"echo": True}, "echo"),
        ({"best_of": 3}, "best_of"),
        ({"suffix": "end"}, "suffix"),
        ({"extra_body": {"guided_json": {}}}, "guided_json: not offered here, leave it out"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 100_000}, "exceed the context"),
        ({"prompt": [300]}, "outside the vocabulary"),
        ({"prompt": []}, "prompts"),
        ({"model": "gpt-4"}, "not served here"),
        ({"model": "tinker://no/sampler_weights/one"}, "no checkpoint"),
        ({"model": "tinker://no"}, "not a checkpoint path"),
        ({"stop": ""}, "stop string is empty"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    client: openai.OpenAI, model: str, more: dict[str, object], sentence: str
):
    """In OpenAI's shape, streamed or not, before anything is generated."""
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError, match=sentence) as caught:
            client.completions.create(**{"model": model, "prompt": "a", "stream": stream, **more})
        assert caught.value.status_code in (400, 404)
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["type"] == "invalid_request_error"


def test_a_template_that_refuses_is_told(client: openai.OpenAI, model: str):
    """What a template raises is the client's fault, in the template's words."""
    with pytest.raises(openai.BadRequestError, match="no tools here"):
        client.chat.completions.create(
            model=model, messages=[{"role": "tool", "content": "x", "tool_call_id": "1"}]
        )


def test_wrong_keys_and_hosts_are_refused_in_openais_shape(serving: LocalServer):
    """A wrong key is an authentication error, another host's name one of permission."""
    with (
        openai.OpenAI(base_url=f"{serving.url}/v1", api_key="sk-wrong", max_retries=0) as wrong,
        pytest.raises(openai.AuthenticationError, match="not the one this server was started with"),
    ):
        wrong.models.list()
    with (
        openai.OpenAI(
            base_url=f"{serving.url}/v1",
            api_key=serving.api_key,
            max_retries=0,
            default_headers={"Host": "evil.example"},
        ) as elsewhere,
        pytest.raises(openai.PermissionDeniedError, match="not served here"),
    ):
        elsewhere.models.list()
    answer = httpx.get(
        f"{serving.url}/v1/embeddings", headers={"X-API-Key": serving.api_key}, trust_env=False
    )
    assert answer.status_code == 404
    assert "not offered" in answer.json()["error"]["message"]
