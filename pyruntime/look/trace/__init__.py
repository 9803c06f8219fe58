"""A trace as one page that needs nothing else: no network, no library, light or dark as the reader has it."""

_HERE = __file__.rpartition("/")[0]
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}  # html.escape would cost 10 ms of imports
_ABOUT = (
    "Every command that had a hand in this container, and every step of its plan. Steps of the command are in the "
    "first lane, steps of the process that becomes the container in the second; the third has the system calls they "
    "made. The list below each picture begins with the longest."
)


def page(title: str, events: str) -> str:
    """The page of a container's trace; `events` is the list's JSON text, safe inside a script element."""
    name = "".join(_ESCAPED.get(letter, letter) for letter in title)
    style, script = _part("page.css"), _part("page.js")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}: where the time goes</title><style>{style}</style><body><h1>{name}</h1><p>{_ABOUT}</p>"
        f"<script>const trace={events}\n</script><script>{script}</script>\n"
    )


def _part(name: str) -> str:
    with open(f"{_HERE}/{name}", encoding="utf-8") as file:
        return file.read()
