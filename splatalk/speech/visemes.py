"""Phonemes as mouth shapes: which of fifteen visemes a sound of the International Phonetic Alphabet looks like."""

from __future__ import annotations

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
"""The classes that lip-sync tools commonly use; PP is closed lips, FF the lip on the teeth."""

_SOUNDS = {
    "PP": "pbmɓʙ", "FF": "fvɱʋⱱɸβ", "TH": "θð", "DD": "tdɗʈɖɾ", "kk": "kɡgqɢŋɴxɣχʁhɦħʕʔʜc", "CH": "ʃʒɕʑçʝɟ",
    "SS": "szɬɮʂʐ", "nn": "nlɲɳɫʎɭ", "RR": "rɹɻʀɽɚɝɜɘɵ", "aa": "aɑɐʌæɶ", "E": "eɛəœø", "ih": "iɪyʏɨj", "oh": "oɔɒɤ",
    "ou": "uʊʉɯwʍɥ",
}  # fmt: skip
_VISEME_OF = {sound: viseme for viseme, sounds in _SOUNDS.items() for sound in sounds}


def viseme(phoneme: str) -> str:
    """The viseme of an IPA phoneme, by its first known sign (``tʃ`` is CH); ``sil`` when none is known."""
    if phoneme[:2] in ("tʃ", "dʒ", "tɕ", "dʑ"):
        return "CH"
    return next((_VISEME_OF[sign] for sign in phoneme if sign in _VISEME_OF), "sil")
