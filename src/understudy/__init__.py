"""understudy: can synthetic images stand in for real patients?"""
