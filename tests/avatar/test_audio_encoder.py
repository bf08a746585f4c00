from __future__ import annotations

import numpy as np
import pytest
import torch

from splatalk.avatar.audio_encoder import AudioEncoder, AudioEncoderConfig, fit_audio_encoder, smiles
from splatalk.avatar.controls import BLENDSHAPES
from splatalk.avatar.face_mesh import INNER_LIP_PAIRS, MOUTH_CORNERS, NOSE_TIP
from splatalk.avatar.mouth_basis import MouthBasis, mouth_opening_and_width
from splatalk.speech.features import feature_groups, windows
from splatalk.speech.lip_reading import CLOSED, SHAPES
from splatalk.speech.prosody import PROSODY
from splatalk.speech.visemes import VISEMES

D = 40 + len(PROSODY) + 8


def speaking(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (n, 478, 3) of a mouth that follows hidden motion (n, 2), its neutral, windows that hear the motion."""
    rng = np.random.default_rng(seed)
    neutral = rng.uniform(-0.06, 0.06, (478, 3))
    neutral[NOSE_TIP, 1] = 0.0
    upper, lower = np.array(INNER_LIP_PAIRS).T
    neutral[np.concatenate((upper, lower, MOUTH_CORNERS)), 1] = 0.03
    neutral[lower, 0] = neutral[upper, 0]
    motion = np.stack([np.convolve(rng.normal(size=n + 8), np.ones(9) / 3, "valid") for _ in range(2)], 1)
    landmarks = np.repeat(neutral[None], n, 0)
    landmarks[:, lower, 1] += 0.01 + 0.003 * motion[:, :1]
    landmarks[:, MOUTH_CORNERS[1], 0] += 0.002 * motion[:, 1]
    landmarks += rng.normal(0, 2e-5, landmarks.shape)
    table = rng.normal(0, 1, (n, D)).astype(np.float32)
    table[:, :40] += motion @ rng.normal(0, 1, (2, 40))
    table[:, 40 + PROSODY.index("activity")] = 1.0
    return landmarks, neutral, windows(table, 25.0, 25.0, n, 6, 6)


def test_basis_gives_back_what_it_was_made_of() -> None:
    landmarks, neutral, _ = speaking(120)
    basis = MouthBasis.fit(landmarks, neutral)
    codes = basis.encode(landmarks)
    assert codes.shape == (120, 12) and codes.dtype == np.float32
    assert np.abs(codes.mean(0)).max() < 0.05 and np.abs(codes[:, :2].std(0) - 1).max() < 0.05
    back = basis.decode(codes)
    assert np.abs(back - landmarks[:, basis.indices]).max() < 3e-4
    gap = mouth_opening_and_width(landmarks)[:, 0]
    resting = np.zeros((1, 478, 3), np.float32)
    resting[:, basis.indices] = basis.decode(basis.rest[None])
    assert mouth_opening_and_width(resting)[0, 0] < np.quantile(gap, 0.2)


def test_basis_does_not_blow_up_a_still_face() -> None:
    landmarks, neutral, _ = speaking(50)
    still = np.repeat(landmarks[:1], 50, 0) + np.random.default_rng(0).normal(0, 1e-7, landmarks.shape)
    assert np.abs(MouthBasis.fit(still, neutral).encode(still)).max() < 0.5


def test_basis_of_few_frames_has_few_shapes() -> None:
    landmarks, neutral, _ = speaking(5)
    basis = MouthBasis.fit(landmarks, neutral)
    assert basis.n_components == 4 and np.isfinite(basis.encode(landmarks)).all()


def test_basis_round_trip_and_damage() -> None:
    landmarks, neutral, _ = speaking(60)
    basis = MouthBasis.fit(landmarks, neutral)
    again = MouthBasis.from_tensors(basis.tensors())
    assert np.array_equal(again.encode(landmarks), basis.encode(landmarks))
    for name, wrong in (
        ("indices", torch.full_like(basis.tensors()["indices"], 478)),
        ("mean", torch.zeros(3, 3)),
        ("rest", torch.full((12,), float("nan"))),
        ("indices", basis.tensors()["indices"].float()),
    ):
        with pytest.raises(ValueError, match="mouth basis"):
            MouthBasis.from_tensors({**basis.tensors(), name: wrong})


def test_opening_leaves_depth_out() -> None:
    landmarks, _, _ = speaking(10)
    deep = landmarks.copy()
    deep[..., 2] += np.random.default_rng(0).normal(size=deep.shape[:2])
    assert np.array_equal(mouth_opening_and_width(landmarks), mouth_opening_and_width(deep))


@pytest.fixture(scope="module")
def fitted() -> tuple[AudioEncoder, MouthBasis, np.ndarray, np.ndarray]:
    landmarks, neutral, features = speaking(260)
    basis = MouthBasis.fit(landmarks[:220], neutral)
    codes = basis.encode(landmarks)
    encoder = fit_audio_encoder(features[:220], codes[:220], basis)
    assert encoder is not None
    return encoder, basis, features, codes


def test_it_hears_the_mouth_in_unseen_sound(fitted: tuple) -> None:
    encoder, _, features, codes = fitted
    with torch.no_grad():
        said, tokens = encoder(torch.from_numpy(features[220:]))
    assert said.shape == (40, 12) and tokens.shape == (40, 7, 64)
    for k in (0, 1):
        assert np.corrcoef(said[:, k].numpy(), codes[220:, k])[0, 1] > 0.9
    assert encoder.config.explained > 0.7


def test_silence_is_the_resting_mouth(fitted: tuple) -> None:
    encoder, basis, features, _ = fitted
    quiet = features[:50].copy()
    quiet[:, :, feature_groups(D)["prosody"].start + PROSODY.index("activity")] = 0.0
    with torch.no_grad():
        said = encoder(torch.from_numpy(quiet))[0].numpy()
    assert np.abs(said - basis.rest).max() < 1e-5


def test_tokens_are_in_time_order(fitted: tuple) -> None:
    """The middle step's code is the mouth code; a step later in one frame is the middle of the next frame."""
    encoder, _, features, _ = fitted
    with torch.no_grad():
        codes = encoder.codes(torch.from_numpy(features[100:110]))
        said = encoder(torch.from_numpy(features[100:110]))[0]
    assert torch.equal(codes[:, 3], said)
    assert torch.allclose(codes[:-1, 4], codes[1:, 3], atol=1e-4)


def test_same_seed_same_encoder_and_global_state_untouched(fitted: tuple) -> None:
    _, basis, features, codes = fitted
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    a, b, c = (fit_audio_encoder(features[:150], codes[:150], basis, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert a is not None and b is not None and c is not None
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))
    assert not torch.equal(a.project.weight, c.project.weight) and torch.equal(a.weight, c.weight)


def test_only_the_projection_is_trained(fitted: tuple) -> None:
    assert {name for name, _ in fitted[0].named_parameters()} == {"project.weight", "project.bias"}


def test_state_and_config_make_it_again(fitted: tuple) -> None:
    encoder, _, features, _ = fitted
    again = AudioEncoder(AudioEncoderConfig(**vars(encoder.config)))
    again.load_state_dict(encoder.state_dict())
    x = torch.from_numpy(features[:3])
    assert all(torch.equal(p, q) for p, q in zip(again(x), encoder(x)))


def test_too_little_speech_gives_none(fitted: tuple) -> None:
    _, basis, features, codes = fitted
    silent = features.copy()
    silent[..., feature_groups(D)["prosody"].start + PROSODY.index("activity")] = 0.0
    assert fit_audio_encoder(silent, codes, basis) is None
    assert fit_audio_encoder(features[:20], codes[:20], basis) is None


def test_frames_that_are_not_valid_are_left_out(fitted: tuple) -> None:
    _, basis, features, codes = fitted
    valid = np.ones(200, bool)
    valid[50:80] = False
    spoiled = codes[:200].copy()
    spoiled[50:80] = 1e3
    a = fit_audio_encoder(features[:200], spoiled, basis, valid=valid)
    b = fit_audio_encoder(features[:200], codes[:200], basis, valid=valid)
    assert a is not None and b is not None and torch.equal(a.weight, b.weight)


def test_what_never_changes_goes_aside_without_harm(fitted: tuple) -> None:
    _, basis, features, codes = fitted
    a = fit_audio_encoder(features[:200], codes[:200], basis, unheard=np.full((200, 1), 0.3))
    b = fit_audio_encoder(features[:200], codes[:200], basis)
    assert a is not None and b is not None
    torch.testing.assert_close(a.weight, b.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(a.bias, b.bias, rtol=1e-4, atol=1e-5)


def test_smiles_are_slow() -> None:
    shapes = np.zeros((100, len(BLENDSHAPES)), np.float32)
    for side in ("Left", "Right"):
        shapes[50, BLENDSHAPES.index(f"mouthSmile{side}")] = 1.0  # one sound
        shapes[70:, BLENDSHAPES.index(f"mouthSmile{side}")] = 0.5
    found = smiles(shapes, 25.0)
    assert found.shape == (100, 1)
    assert found[50, 0] < 0.1 and found[95, 0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("change", [{"window": 5}, {"window": 8}, {"mouth_dim": 0}, {"dim": 10}, {"token_dim": 0}])
def test_impossible_shapes(change: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        AudioEncoderConfig(**{"window": 13, "dim": 95, "mouth_dim": 12, **change})


def _landmarks(basis: MouthBasis, codes: np.ndarray) -> np.ndarray:
    landmarks = np.zeros((len(codes), 478, 3), np.float32)
    landmarks[:, basis.indices] = basis.decode(codes)
    return landmarks


def opening(basis: MouthBasis, codes: np.ndarray) -> np.ndarray:
    return mouth_opening_and_width(_landmarks(basis, codes))[:, 0]


def test_lips_close_where_closed_lips_are_heard() -> None:
    landmarks, neutral, features = speaking(260, seed=1)
    n = len(VISEMES)
    shapes = np.zeros((*features.shape[:2], n), np.float32)
    features = np.concatenate((features[..., :-15], shapes, features[..., -15:]), -1)
    basis = MouthBasis.fit(landmarks, neutral)
    encoder = fit_audio_encoder(features, basis.encode(landmarks), basis, visemes=n)
    assert encoder is not None and encoder.config.visemes == n
    column = feature_groups(features.shape[-1], n)["visemes"].start + CLOSED
    heard = features.copy()
    heard[100:110, :, column] = 1.0
    with torch.no_grad():
        before, after = (encoder(torch.from_numpy(f))[0].numpy() for f in (features, heard))
    closed = opening(basis, after[100:110])
    assert closed.max() <= np.quantile(opening(basis, basis.encode(landmarks)), 0.06) + 1e-5
    assert (opening(basis, after[100:110]) <= opening(basis, before[100:110]) + 1e-6).all()
    np.testing.assert_array_equal(after[:90], before[:90])


@pytest.fixture(scope="module")
def with_shapes() -> tuple[AudioEncoder, MouthBasis, np.ndarray, np.ndarray]:
    """A person whose words say nothing, and whose width is told by the curves."""
    landmarks, neutral, features = speaking(260, seed=2)
    n = len(SHAPES)
    features = np.concatenate((features[..., :-15], np.zeros((260, 13, n), np.float32), features[..., -15:]), -1)
    groups = feature_groups(features.shape[-1], n)
    features[..., groups["words"]] *= 1e-3
    basis = MouthBasis.fit(landmarks, neutral)
    width = mouth_opening_and_width(landmarks)[:, 1]
    told = windows(((width - width.mean()) / width.std())[:, None].astype(np.float32), 25.0, 25.0, 260, 6, 6)
    features[..., groups["curves"].start + 1] = told[..., 0]
    codes = basis.encode(landmarks)
    encoder = fit_audio_encoder(features[:220], codes[:220], basis, visemes=n, words=False)
    assert encoder is not None
    return encoder, basis, features, codes


def test_what_anybodys_lips_would_do_is_learned_from(with_shapes: tuple) -> None:
    encoder, basis, features, codes = with_shapes
    with torch.no_grad():
        said = encoder(torch.from_numpy(features[220:]))[0].numpy()
    a, b = (mouth_opening_and_width(_landmarks(basis, c))[:, 1] for c in (said, codes[220:]))
    assert np.corrcoef(a, b)[0, 1] > 0.8


def test_lips_are_closed_as_surely_as_it_is_heard(with_shapes: tuple) -> None:
    encoder, basis, features, codes = with_shapes
    column = feature_groups(features.shape[-1], len(SHAPES))["closed"].start
    gaps = []
    for closed in (0.0, 0.5, 1.0):
        heard = features[:50].copy()
        heard[..., column] = closed
        with torch.no_grad():
            gaps.append(opening(basis, encoder(torch.from_numpy(heard))[0].numpy()))
    assert (gaps[0] >= gaps[1] - 1e-6).all() and (gaps[1] >= gaps[2] - 1e-6).all()
    assert gaps[2].max() <= np.quantile(opening(basis, codes[:220]), 0.06) + 1e-5 < gaps[0].max()


def test_without_words_only_what_was_heard_in_them_moves_the_mouth(with_shapes: tuple) -> None:
    encoder, _, features, _ = with_shapes
    groups = feature_groups(features.shape[-1], len(SHAPES))
    said = {}
    for name in ("words", "curves"):
        heard = features[:20].copy()
        heard[..., groups[name]] += 1.0
        with torch.no_grad():
            said[name] = encoder(torch.from_numpy(heard))[0]
    with torch.no_grad():
        before = encoder(torch.from_numpy(features[:20]))[0]
    assert torch.equal(said["words"], before) and not torch.allclose(said["curves"], before)


def test_visemes_tell_the_mouth_when_words_do_not() -> None:
    landmarks, neutral, features = speaking(260, seed=3)
    n = len(SHAPES)
    features = np.concatenate((features[..., :-15], np.zeros((260, 13, n), np.float32), features[..., -15:]), -1)
    groups = feature_groups(features.shape[-1], n)
    features[..., groups["words"]] = 0.0
    gap = mouth_opening_and_width(landmarks)[:, 0]
    wide = (gap > np.median(gap)).astype(np.float32)[:, None]
    features[..., groups["visemes"].start + CLOSED] = windows(1.0 - wide, 25.0, 25.0, 260, 6, 6)[..., 0]
    features[..., groups["articulation"]] = 0.0
    basis = MouthBasis.fit(landmarks, neutral)
    codes = basis.encode(landmarks)
    encoder = fit_audio_encoder(features[:220], codes[:220], basis, visemes=n, words=False)
    assert encoder is not None
    with torch.no_grad():
        said = opening(basis, encoder(torch.from_numpy(features[220:]))[0].numpy())
    assert np.corrcoef(said, gap[220:])[0, 1] > 0.7
