"""Tests of the group service, and the world that the tests of its neighbours share."""
