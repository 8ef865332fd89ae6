"""Whatever happens in whatever order, the promises I1-I8 hold; and the machine that says so finds the faults that it is for."""

from hypothesis import settings

from tests.properties.router_machine import RouterMachine

RouterMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestRouter = RouterMachine.TestCase
