from raylift.program import main
main()
