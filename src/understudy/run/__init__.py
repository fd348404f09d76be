"""What survives a kill: trainings and long works that stop and go on, and the machine that they run on."""
