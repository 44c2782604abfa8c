"""SIP without sockets or clocks: framing, messages, transactions, dialogs, and what uses them."""
