"""The web app that collects 2AFC and JND judgments from people. Still empty: `bapps-collect` comes later."""
