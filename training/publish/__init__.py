"""A finished training on the Hugging Face Hub, in every form that people load.

`forms` makes them, `card` describes them, `hub` sends them in one commit.
"""
