"""How providers write requests and answers, one file for each protocol."""
