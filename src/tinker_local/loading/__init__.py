"""A base model from disk: a folder in Hugging Face's layout, or a GGUF file that becomes one."""

from tinker_local.loading.base_model import BaseModel, choose_dtype, choose_training_dtype, load_base_model

__all__ = ["BaseModel", "choose_dtype", "choose_training_dtype", "load_base_model"]
