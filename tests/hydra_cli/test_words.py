import pytest

from seqkit.errors import ConfigError
from seqkit.hydra_cli.words import flag_words, refuse_flags, typed_words


@pytest.mark.parametrize(("typed", "given"), [
    ("a=1 -m b=2", "a=1 b=2 --multirun"),
    ("a=1 --config-dir x b=2 --resolve", "a=1 b=2 --config-dir x --resolve"),
    ("--config-dir=x b=2", "b=2 --config-dir x"),
    ("-c job a=1", "a=1 --cfg job"),
    ("--info a=1", "a=1 --info all"),
    ("--info defaults a=1", "a=1 --info defaults"),
    ("logger=null", "~logger"),
])  # fmt: skip
def test_overrides_come_before_flags(typed, given):
    overrides, flags = typed_words(typed.split())
    assert [*overrides, *flag_words(flags)] == given.split()


@pytest.mark.parametrize(("typed", "line"), [
    ("a=1 b=2 +a=3", "'a' is given twice: a=1 and +a=3; give it once"),
    ("-x", "no flag -x; Known: --fresh, "),
    ("-- 3", "no flag --; Known: --fresh, "),
    (f"--data {'a' * 300} seed=1", f"no flag --data; write data={'a' * 300}"),  # no name of a file is as long
    ("--seed=3", "no flag --seed; write seed=3"),
    ("--model lstm", "no flag --model; write model=lstm"),
    ("--epochs 3 seed=1", "no flag --epochs; write trainer.max_epochs=3"),
    ("--data table.csv experiment=forecast", "no flag --data; write data.path=table.csv"),
    ("--data-path table.csv experiment=forecast", "no flag --data-path; write data.path=table.csv"),
    ("--data table.csv", "no flag --data; write data=NAME data.path=table.csv"),
    ("--cfg", "--cfg takes one of job, hydra, all"),
    ("--cfg jobs", "--cfg takes one of job, hydra, all, not jobs"),
    ("a=1 --config-dir", "--config-dir takes a value"),
    ("--multirun=yes", "--multirun takes no value"),
])  # fmt: skip
def test_what_hydra_would_answer_with_its_usage_is_refused(typed, line):
    with pytest.raises(ConfigError) as caught:
        typed_words(typed.split())
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(("typed", "line"), [
    ("experiment=forecast --data t.csv seed=1", "no flag --data; write data.path=t.csv"),
    ("--data=t.csv experiment=forecast", "no flag --data; write data.path=t.csv"),
    ("seed=1 -m model=lstm,gru", "no flag -m; `seqkit resume --help` names those there are"),
])  # fmt: skip
def test_a_command_without_flags_of_hydra_names_what_was_meant(typed, line):
    with pytest.raises(ConfigError) as caught:
        refuse_flags(typed.split(), "resume")
    assert str(caught.value) == line


def test_words_without_a_flag_pass():
    refuse_flags(["seed=1", "~logger"], "resume")
