"""Training of the classifier's model: multinomial logistic regression, with numpy only.

Every fifth flower is held out, and the script prints the accuracy on these flowers.
"""

import csv
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SPECIES = ["setosa", "versicolor", "virginica"]
STEPS = 2000
RATE = 0.5
DECAY = 1e-3


def main() -> None:
    """Read `iris.csv` and write `app/iris.json`."""
    with (HERE / "iris.csv").open() as file:
        table = np.array(list(csv.reader(file))[1:], dtype=float)
    held_out = np.arange(len(table)) % 5 == 0
    lengths, species = table[:, :4], table[:, 4].astype(int)

    weights, bias = fit(lengths[~held_out], species[~held_out])
    found = (lengths[held_out] @ weights + bias).argmax(axis=1)
    print(f"accuracy on held-out flowers: {(found == species[held_out]).mean():.3f}")

    model = {"weights": weights.tolist(), "bias": bias.tolist(), "species": SPECIES}
    (HERE / "app" / "iris.json").write_text(json.dumps(model, indent=1) + "\n")


def fit(lengths: np.ndarray, species: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimize the cross-entropy by gradient descent on standardized measurements."""
    mean, deviation = lengths.mean(axis=0), lengths.std(axis=0)
    inputs = (lengths - mean) / deviation
    truth = np.eye(len(SPECIES))[species]
    weights, bias = np.zeros((4, len(SPECIES))), np.zeros(len(SPECIES))
    for _ in range(STEPS):
        scores = np.exp(inputs @ weights + bias)
        error = (scores / scores.sum(axis=1, keepdims=True) - truth) / len(inputs)
        weights -= RATE * (inputs.T @ error + DECAY * weights)
        bias -= RATE * error.sum(axis=0)
    # Fold the standardization into the weights, so that serving does not need it.
    weights = weights / deviation[:, None]
    return weights, bias - mean @ weights


if __name__ == "__main__":
    main()
