"""How long a picture takes, from pixels to corners, edges and a count.

    python -m benchmarks.inference

Measures each encoder, untrained (the time is the same), at one and two threads, in turn and several
times over. The rows of one run compare with each other; rows of different runs or machines do not.
"""

from time import perf_counter

import numpy as np
import torch

from benchmarks.training import untrained
from cardpose.params import load_params
from cardpose.pictures import DETAIL

_ROUNDS = 30


def main():
    params = load_params()
    width, height = params.image_size
    picture = torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8)
    larger = (1, 3, DETAIL * height, DETAIL * width)
    details = torch.randint(0, 256, larger, dtype=torch.uint8)
    networks = {encoder: untrained(params, encoder).eval() for encoder in ("plain", "inverted")}
    rows = [(encoder, threads) for encoder in networks for threads in (1, 2)]
    times = {row: [] for row in rows}
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for encoder, threads in rows:
                torch.set_num_threads(threads)
                start = perf_counter()
                networks[encoder].look(picture, details)
                times[encoder, threads].append(perf_counter() - start)
    first = np.median(times[rows[0]])
    print(f"{'encoder':10}{'parameters':>12}{'threads':>9}{'ms':>8}{'ratio':>8}")
    for encoder, threads in rows:
        size = sum(weight.numel() for weight in networks[encoder].parameters())
        time = np.median(times[encoder, threads])
        print(f"{encoder:10}{size:12,}{threads:9}{time * 1000:8.1f}{first / time:8.2f}")


if __name__ == "__main__":
    main()
