namespace KvMesh.Cli;

/// <summary>A command cannot do what was asked. The message is for the user; the code for scripts.</summary>
internal sealed class CommandException(ExitCode exitCode, string message, Exception? cause = null) : Exception(message, cause)
{
    public ExitCode ExitCode { get; } = exitCode;
}
