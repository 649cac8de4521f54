namespace KvMesh.Cli;

/// <summary>What the process tells its caller. Scripts depend on the numbers.</summary>
public enum ExitCode
{
    Success = 0,

    /// <summary>Something went wrong that no other code names; the message on standard error says what.</summary>
    Failure = 1,

    /// <summary>The command line is wrong, or the node refuses a value of it.</summary>
    Usage = 2,

    /// <summary>The node cannot be reached, or stopped answering.</summary>
    NodeUnreachable = 3,

    /// <summary>The key has no value, or there is no sequence, tenant, order or node of that name.</summary>
    NotFound = 4,

    /// <summary>Bytes came back that are not those that were written.</summary>
    VerificationFailed = 5,

    /// <summary>Stopped by a signal before it was done (128 + SIGINT).</summary>
    Interrupted = 130,
}
