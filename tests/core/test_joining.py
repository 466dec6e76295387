"""How regions are shared out among sequences."""

from hypothesis import given
from hypothesis import strategies as st

from reco_core.joining import MOST_SEQUENCES, share_out


@given(st.integers(2, 12), st.lists(st.integers(1, 12), max_size=12), st.integers(2, 24))
def test_every_region_is_in_one_sequence_that_holds_it(caption, lengths, limit):
    shares = share_out(caption, lengths, limit)
    if shares is None:
        return
    assert [index for share in shares for index in share] == list(range(len(lengths)))
    assert 1 <= len(shares) <= MOST_SEQUENCES
    assert all(caption + sum(lengths[i] for i in share) <= limit for share in shares)
    assert len(shares) == 1 or all(shares)


@given(st.integers(2, 12), st.lists(st.integers(1, 12), max_size=12), st.integers(2, 24))
def test_no_sequence_ends_before_it_must(caption, lengths, limit):
    shares = share_out(caption, lengths, limit) or ((),)
    for share, following in zip(shares, shares[1:], strict=False):
        assert caption + sum(lengths[i] for i in (*share, following[0])) > limit


def test_what_no_sequence_holds_is_told():
    assert share_out(5, [6], 10) is None
    assert share_out(11, [], 10) is None
    assert share_out(2, [8] * MOST_SEQUENCES, 10) == ((0,), (1,), (2,), (3,))
    assert share_out(2, [8] * (MOST_SEQUENCES + 1), 10) is None
