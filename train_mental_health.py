"""The original experiment: supervised fine-tuning of a small language model on 30 examples.

    python train_mental_health.py

With a TINKER_API_KEY it trains on hosted Tinker; without one, on a server of this machine with
SmolLM2-135M, which `symptoms models get smollm2-135m` fetches once. Everything that matters
happens in main(), from top to bottom.
"""

import argparse
from itertools import product
from pathlib import Path

from rich.console import Console

from symptoms.classifier import TrainedModel
from symptoms.cli import exit_with_a_sentence
from symptoms.data import load_experiment
from symptoms.runs import RunDirectory, TestCase
from symptoms.service import connect
from symptoms.settings import TrainingSettings, read_changes
from symptoms.tokens import check_lengths, mean_loss, rendered, to_datum, tokenize
from symptoms.train import TrainingProgress, conclude, resolve


def main(
    data: Path, service_name: str | None, base_model: str | None, run_name: str | None, changes: list[str]
) -> None:
    """Connect, train, save, and show what was learned."""
    console = Console()
    dataset, experiment = load_experiment(data)
    # What cannot be is told before anything is started.
    told = TrainingSettings.of({"data": str(data), **read_changes(changes)})
    if run_name is not None:
        RunDirectory.check_name(run_name)
    console.print("Connecting to the Tinker service ...")
    with connect(service_name, base_model, preferred=experiment.settings.base_model) as service:
        from tinker import AdamParams  # here, because the import takes seconds in which the server starts

        settings = resolve(told, experiment, service.base_model).settings
        console.print(
            f"{service.kind} service, base model {settings.base_model}, LoRA rank {settings.lora_rank}"
        )
        changed = settings.differences(experiment.settings)
        console.print(f"settings of {data}, but for {changed}" if changed else f"settings of {data}")

        # A LoRA adapter on the base model. The service owns the weights; we own data, loss and loop.
        training = service.client.create_lora_training_client(
            base_model=settings.base_model, rank=settings.lora_rank, seed=settings.seed
        ).result()
        tokenizer = service.tokenizer(training)

        # Prompt tokens weigh 0 and completion tokens 1, so only the assessment is learned.
        examples = [tokenize(tokenizer, example) for example in dataset.examples]
        check_lengths(dataset.path, dataset.examples, examples, service.context_length)
        datums = [to_datum(example) for example in examples]

        run = RunDirectory.create(run_name)
        run.write_start(dataset, settings, service, base_model_sha256=service.base_model_sha256(training))
        steps = list(product(range(1, settings.epochs + 1), range(0, len(datums), settings.batch_size)))
        with TrainingProgress(run, len(steps), service, console) as progress:
            for number, (epoch, first) in enumerate(steps, start=1):
                batch = slice(first, first + settings.batch_size)
                rate = settings.learning_rate_at(number, len(steps))
                adam = AdamParams(
                    learning_rate=rate,
                    beta1=settings.adam_beta1,
                    beta2=settings.adam_beta2,
                    eps=settings.adam_eps,
                )
                # Both are submitted before either is awaited, so the service goes straight on.
                gradients = training.forward_backward(datums[batch], experiment.loss_fn)
                update = training.optim_step(adam)
                loss = mean_loss(gradients.result().loss_fn_outputs, examples[batch])
                update.result()
                progress.step(epoch, loss, rate, examples[batch])
                if progress.interrupted:
                    saved = training.save_state(f"step-{number}").result().path
                    run.append_checkpoint(saved, number, "training")
                    console.print(f"Stopped after step {number} of {len(steps)}; saved as {saved}")
                    raise KeyboardInterrupt

        checkpoint = training.save_weights_for_sampler("final").result().path
        run.append_checkpoint(checkpoint, len(steps), "sampler")
        trained = TrainedModel.load(service, checkpoint)
        tests = [
            TestCase(case.input, rendered(case), trained.write(case.input)) for case in experiment.test_cases
        ]
        conclude(run, settings, service, checkpoint, tests, console)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fine-tune a small language model on a data file.")
    parser.add_argument("--data", type=Path, default=Path("mental_health_data.json"), help="the data file")
    parser.add_argument("--service", help="local, hosted, or the address of a Tinker-compatible server")
    parser.add_argument("--base-model", help="base model by name, or a local path")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value for one of its settings",
    )
    parser.add_argument("--run", help="name of the run directory in runs/ (default: the time)")
    options = parser.parse_args()
    with exit_with_a_sentence():
        main(options.data, options.service, options.base_model, options.run, options.set)
