import torch

from seqkit.models.regularisation import apply_zoneout, zoneout_mask

NEW, OLD = torch.ones(2, 3), torch.zeros(2, 3)
CPU = torch.device("cpu")


def test_in_training_the_units_of_the_mask_keep_their_old_value():
    torch.manual_seed(0)
    mask_TBH = zoneout_mask(0.25, (200, 2, 3), True, CPU)
    assert abs(float(mask_TBH.float().mean()) - 0.25) < 0.05
    for t in (0, 7):
        assert torch.equal(apply_zoneout(mask_TBH, t, NEW, OLD), (~mask_TBH[t]).float())


def test_in_evaluation_every_unit_keeps_the_expected_share():
    mask = zoneout_mask(0.25, (5, 2, 3), False, CPU)
    assert torch.equal(apply_zoneout(mask, 0, NEW, OLD), torch.full((2, 3), 0.75))


def test_without_zoneout_nothing_is_drawn():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert zoneout_mask(0.0, (5, 2, 3), True, CPU) is None
    assert torch.equal(torch.get_rng_state(), before)
    assert apply_zoneout(None, 0, NEW, OLD) is NEW
