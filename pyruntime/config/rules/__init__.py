"""What must hold between the values of a configuration, by theme. Each rule raises ConfigError with the config path."""
