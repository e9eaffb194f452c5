"""The original experiment: supervised fine-tuning of a small language model on 30 examples.

    python train_mental_health.py

With a TINKER_API_KEY it trains on hosted Tinker; without one, on a server of this machine with the
bundled base model. Everything that matters happens in main(), from top to bottom.
"""

import argparse
from itertools import product
from pathlib import Path

from rich.console import Console

from symptoms.classifier import generate
from symptoms.cli import exit_with_a_sentence
from symptoms.data import load_experiment
from symptoms.service import connect
from symptoms.tokens import check_lengths, mean_loss, to_datum, tokenize
from symptoms.train import RunDirectory, TestCase, TrainingProgress, conclude


def main() -> None:
    options = parse_options()
    experiment = load_experiment(options.data)
    console = Console()
    console.print("Connecting to the Tinker service ...")
    with connect(options.service, options.base_model, preferred=experiment.config.base_model) as service:
        from tinker import AdamParams  # here, because the import takes seconds in which the server starts

        config = experiment.config.for_base_model(service.base_model)
        console.print(f"{service.kind} service, base model {config.base_model}, LoRA rank {config.lora_rank}")
        if config.learning_rate != experiment.config.learning_rate:
            console.print(f"learning rate {config.learning_rate}, recommended for this base model")

        # A LoRA adapter on the base model. The service owns the weights, we own data, loss and loop.
        training = service.client.create_lora_training_client(
            base_model=config.base_model, rank=config.lora_rank, seed=config.seed
        ).result()
        tokenizer = training.get_tokenizer()

        # Prompt tokens weigh 0 and completion tokens 1, so only the assessment is learned.
        examples = [tokenize(tokenizer, example) for example in experiment.examples]
        check_lengths(experiment.path, experiment.examples, examples, service.context_length)
        datums = [to_datum(example) for example in examples]
        adam = AdamParams(
            learning_rate=config.learning_rate, beta1=config.adam_beta1, beta2=config.adam_beta2, eps=config.adam_eps
        )

        run = RunDirectory.create(options.run)
        run.write_start(experiment, config, service)
        steps = list(product(range(1, config.epochs + 1), range(0, len(datums), config.batch_size)))
        with TrainingProgress(run, len(steps), config.learning_rate, console) as progress:
            for epoch, first in steps:
                batch = slice(first, first + config.batch_size)
                # Both are submitted before either is awaited, so the service is never idle between them.
                gradients = training.forward_backward(datums[batch], config.loss_fn)
                update = training.optim_step(adam)
                loss = mean_loss(gradients.result().loss_fn_outputs, examples[batch])
                update.result()
                progress.step(epoch, loss, examples[batch])
                if progress.interrupted:
                    break
        if progress.interrupted:
            saved = training.save_state(f"step-{progress.num_steps_done}").result().path
            run.append_checkpoint(saved, progress.num_steps_done, "training")
            raise SystemExit(f"Stopped after step {progress.num_steps_done} of {len(steps)}; saved as {saved}")

        checkpoint = training.save_weights_for_sampler("final").result().path
        run.append_checkpoint(checkpoint, progress.num_steps_done, "sampler")
        sampler = service.client.create_sampling_client(model_path=checkpoint).result()
        tests = [
            TestCase(case.input, case.output, generate(sampler, tokenizer, case.input, service.context_length))
            for case in experiment.test_cases
        ]
        conclude(run, config, service, checkpoint, tests, console)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tune on the examples of a data file.")
    parser.add_argument("--data", type=Path, default=Path("mental_health_data.json"), help="the data file")
    parser.add_argument("--service", help="local, hosted, or the address of a Tinker-compatible server")
    parser.add_argument("--base-model", help="base model by name, or a local path")
    parser.add_argument("--run", help="name of the run directory in runs/ (default: the time)")
    return parser.parse_args()


if __name__ == "__main__":
    with exit_with_a_sentence():
        main()
