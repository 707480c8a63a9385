"""Setting up the freshly written disk: a seed for cloud-init, or a CIJOE workflow."""
