"""The one policy by which secrets are taken out of answers, errors, logs and records."""
