from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.global_hydra import GlobalHydra

from seqkit.hydra_cli import compose
from tests.conftest import TINY


def test_a_program_that_uses_hydra_itself_keeps_its_own():
    with initialize(config_path=None, version_base="1.3"):
        theirs = GlobalHydra.instance().hydra
        assert compose(TINY)["data"]["name"] == "adding"
        assert GlobalHydra.instance().hydra is theirs
        assert hydra_compose(overrides=["+a=1"]) == {"a": 1}
