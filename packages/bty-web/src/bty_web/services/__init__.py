"""Rules: values and a session in, models and values out, `BtyError` on refusal. Nothing here knows Flask."""
