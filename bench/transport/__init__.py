"""How call audio may travel between bridge and agent, measured on a network that loses packets."""
