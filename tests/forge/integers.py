"""A solver for halmos: cvc5, with words of bits as integers. python integers.py QUERY.smt2"""

import sys

import cvc5


def main(query: str) -> None:
    """Prints what each command of the query answers, as the program `cvc5` would."""
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption("solve-bv-as-int", "sum")
    solver.setOption("nl-cov", "true")  # Without it, products of unknowns may take for ever.
    solver.setOption("produce-models", "true")
    parser = cvc5.InputParser(solver)
    parser.setFileInput(cvc5.InputLanguage.SMT_LIB_2_6, query)
    while not (command := parser.nextCommand()).isNull():
        print(command.invoke(solver, parser.getSymbolManager()), end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
