"""The templates of `seqkit new`: an installable package per kind of component, with `example` where the name goes."""
