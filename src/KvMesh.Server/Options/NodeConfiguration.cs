using KvMesh.Protocol.Admin;

namespace KvMesh.Server.Options;

/// <summary>Checked options, and where each came from.</summary>
/// <param name="Entries">Every option in force, secrets masked, for operators.</param>
public sealed record NodeConfiguration(NodeOptions Options, IReadOnlyList<ConfigurationEntry> Entries);

/// <summary>The options do not describe a node that can start.</summary>
public sealed class NodeOptionsException : Exception
{
    public NodeOptionsException()
        : this([])
    {
    }

    public NodeOptionsException(string message)
        : this([message])
    {
    }

    public NodeOptionsException(string message, Exception innerException)
        : base(message, innerException) => Errors = [message];

    public NodeOptionsException(IReadOnlyList<string> errors)
        : base(string.Join(Environment.NewLine, errors)) => Errors = errors;

    /// <summary>One sentence per wrong option: its name, its value and what would be accepted.</summary>
    public IReadOnlyList<string> Errors { get; }
}
