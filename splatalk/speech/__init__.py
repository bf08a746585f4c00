"""Sound to features: what is said (log-mel, Whisper) and how (prosody)."""

from splatalk.speech.audio import SAMPLE_RATE, read_audio
from splatalk.speech.features import SpeechEncoder, load, speech_windows, windows
from splatalk.speech.prosody import PROSODY, prosody

__all__ = ["PROSODY", "SAMPLE_RATE", "SpeechEncoder", "load", "prosody", "read_audio", "speech_windows", "windows"]
