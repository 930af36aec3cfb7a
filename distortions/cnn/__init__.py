"""CNN-based distortions: 96 denoising autoencoders, whose artifacts are the distortion (Zhang et al., CVPR 2018).

variants.py       the frozen table of the 96, and the factors it holds
plan.py           a row to the convolutions of its generator, with weights and multiply-adds
corruptions.py    what is done to a patch before a network repairs it
generator.py, discriminator.py, losses.py     the networks, and what they are trained for
streaming.py, training.py, runs.py            one variant from photos to its file
budget.py                                     how long that takes
zoo.py, apply.py                              files of trained variants, and patches through them

Files that need torch are imported by nobody who only reads, prints or checks a recipe.
"""
