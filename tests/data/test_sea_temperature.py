import pytest

from seqkit.data.sea_temperature import SAMPLE, sea_temperature


def test_sea_temperature_is_the_published_file_on_even_half_hours():
    data = sea_temperature()
    data.setup()
    # The digest that bokeh_sampledata 2026.1 records for its sea_surface_temperature.csv.gz.
    assert data.fingerprint == "529155ac773634b0dca439781a839487640db92e2bdb597e372a2b0ba0ffbff0"
    assert data.facts["rows"] == "19,226"
    assert data.facts["repeats"] == "1 left out"
    assert data.facts["missing"] == "24 cells filled (interpolate), 24 rows put in for times left out"
    assert data.spec.inputs.names == data.spec.task.names == ("temperature (celsius)",)
    assert data.spec.inputs.rate == pytest.approx(1 / 1800)
    assert data.spec.task.season == 48
    # 401 days of 48 half hours and both ends; every row after the look-back is predicted in some window.
    assert sum(int(data.facts[part].split()[0].replace(",", "")) for part in ("train", "valid", "test")) == 401 * 48 + 1


def test_the_sample_has_its_licence_beside_it():
    assert "may be used and redistributed for free" in SAMPLE.with_name("sea_temperature.LICENSE.txt").read_text()
