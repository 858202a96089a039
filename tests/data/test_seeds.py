from nat.data.seeds import derive


def test_purposes_have_seeds_of_their_own() -> None:
    seeds = {derive(s, p, e) for s in range(20) for p in ("order", "augment") for e in range(20)}
    assert len(seeds) == 800
    assert 0 <= min(seeds) <= max(seeds) < 2**63
