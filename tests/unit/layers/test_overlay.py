"""The overlay's options, and the words of its step."""

from pydocker.layers.overlay import MountOverlay, fits, overlay_options


def test_the_topmost_layer_comes_first() -> None:
    assert overlay_options(["/low", "/high"], "/u", "/w") == "lowerdir=/high:/low,upperdir=/u,workdir=/w"


def test_what_fits_into_a_page() -> None:
    assert fits(["/low"], "/u", "/w")
    assert not fits(["/" + "x" * 100] * 40, "/u", "/w")
    assert not fits(["/a:b"], "/u", "/w")
    assert not fits(["/a"], "/u,v", "/w")
    assert not fits(["/a"], "/u", "/w\\")


def test_words() -> None:
    step = MountOverlay(lower=("/a b", "/c"), upper="/u", work="/w", target="/t")
    assert step.describe() == "mount an overlay of 2 layers and /u on /t"
    assert step.shell() == "mount -t overlay overlay -o 'lowerdir=/c:/a b,upperdir=/u,workdir=/w' /t"
    assert "overlayfs" in step.manual
