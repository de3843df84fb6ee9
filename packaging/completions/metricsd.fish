# Generated from the program's flags by `make golden`; changes made here are lost.
complete -c metricsd -f
complete -c metricsd -o config -r -F -d 'configuration file; without it config.json in the working directory if there is one, else built-in defaults'
complete -c metricsd -o log-level -x -a 'debug info warn error' -d 'debug, info, warn or error (default: MC_LOG_LEVEL, else the configuration\'s log_level, else info)'
complete -c metricsd -o check -d 'check the configuration, print every problem in it, and exit'
complete -c metricsd -o once -d 'collect one round, print it and exit; ships nothing'
complete -c metricsd -o list -d 'list the collectors (on or off, what they read and need, whether this host has it) and all metrics with their names in each scheme, and exit'
complete -c metricsd -o spool -d 'list what waits on disk for each destination, or for none, and exit'
complete -c metricsd -o health -x -d 'ask a running metricsd, say http://127.0.0.1:8080/health, whether it is well'
complete -c metricsd -o format -x -a 'prom json' -d 'what -once prints: prom or json (default prom); -list prints tables or json'
complete -c metricsd -o naming -x -a 'native node_exporter otel' -d 'by which names -once prints: native, node_exporter or otel (default native)'
complete -c metricsd -o root -x -a '(__fish_complete_directories)' -d 'take DIR/proc, DIR/sys and DIR for the host\'s /proc, /sys and /'
complete -c metricsd -o help -d 'print this and exit'
complete -c metricsd -o version -d 'print the version and exit'
