"""How long things take, beside the ways people do them today."""
