"""The catalog by the API."""

from __future__ import annotations

from bty_web.models.words import ImageState
from tests.web.api.programs import Program
from tests.web.site import NOW, Site


def test_an_image_says_what_it_is_and_where_it_is_used(site: Site) -> None:
    site.add_image()
    site.add_machine(image="debian.img")
    program = Program.of(site)
    answer = program.get("/images/debian.img")
    assert (answer.status_code, answer.json) == (
        200,
        {
            "name": "debian.img",
            "state": "ready",
            "format": "raw",
            "size_bytes": 1000,
            "virtual_size_bytes": 1000,
            "sha256": "a" * 64,
            "disk_sha256": None,
            "description": None,
            "warnings": [],
            "message": None,
            "hint": None,
            "added_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
            "measured_at": None,
            "machines": 1,
        },
    )
    assert program.get("/images").json["items"] == [answer.json]
    gone = program.get("/images/gone.img")
    assert (gone.status_code, gone.json["detail"]) == (
        404,
        "there is no image 'gone.img' in the catalog",
    )


def test_images_are_found_by_words_and_state(site: Site) -> None:
    site.add_image("debian.img", description="stable 100% tested")
    site.add_image("fedora.qcow2", format="qcow2", state=ImageState.MEASURING)
    program = Program.of(site)
    for query, names in {
        "": ["debian.img", "fedora.qcow2"],
        "search=QCOW": ["fedora.qcow2"],
        "search=stable+debian": ["debian.img"],
        "search=100%25": ["debian.img"],
        "search=%25": ["debian.img"],
        "state=measuring": ["fedora.qcow2"],
        "state=broken": [],
    }.items():
        found = [one["name"] for one in program.get(f"/images?{query}").json["items"]]
        assert found == names, query
