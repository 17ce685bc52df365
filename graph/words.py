"""In which language a front end is answered where the words are ours."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.words import Locale

_LANGUAGES = {"CS": "Czech.", "EN": "English."}
strawberry.enum(Locale, description="The language of our own words.")
for _value in vars(Locale)["__strawberry_definition__"].values:
    _value.description = _LANGUAGES[_value.name]

Language = Annotated[Locale, strawberry.argument(description="The language of the sentence.")]
