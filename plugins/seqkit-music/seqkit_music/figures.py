"""Figure of piano rolls: the notes that came, over the probability that they were given."""

# B batch, T time, N = 88 keys

from seqkit_music.rolls import LOWEST, note_name

PIECES = 2  # of the examples that are drawn


def piano_rolls(batch, prediction):
    """Draw truth and probability of the first examples, pitch upwards, cut to the keys in use."""
    from matplotlib.figure import Figure

    count = min(PIECES, len(batch))
    figure = Figure(figsize=(10, 3 * count), layout="constrained")
    axes = figure.subplots(count, 2, squeeze=False, sharey="row")
    for row, (left, right) in enumerate(axes):
        steps = batch.inputs.shape[1] if batch.lengths is None else int(batch.lengths[row])
        truth_TN, p_TN = batch.targets[row, :steps], prediction.logits_BTN[row, :steps].sigmoid()
        used = ((truth_TN > 0) | (p_TN > 0.5)).any(0).nonzero().flatten()
        low, high = (int(used.min()), int(used.max()) + 1) if len(used) else (0, 88)
        for axis, roll_TN, title in ((left, truth_TN, "truth"), (right, p_TN, "probability")):
            axis.imshow(roll_TN[:, low:high].T.numpy(), origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=1)
            axis.set_title(title)
            axis.set_xlabel("step")
        ticks = range(0, high - low, 12)
        left.set_yticks(ticks, [note_name(LOWEST + low + tick) for tick in ticks])
    return figure
