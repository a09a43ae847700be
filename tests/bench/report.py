"""How figures are printed."""


def title(words: str) -> None:
    print(f"\n{words}\n{'-' * len(words)}", flush=True)


def figure(words: str, value: str, wanted: str = "") -> None:
    print(f"{words:<58}{value:>12}   {wanted}", flush=True)
