using System.Text;
using KvMesh.Gateway.Access;
using KvMesh.Protocol.Resp;

namespace KvMesh.Gateway.Resp;

/// <summary>Executes one command and writes exactly one reply.</summary>
internal delegate void CommandBody(RespSession session, in RespRequest request);

/// <summary>One command of the table, or one subcommand of a container such as CONFIG.</summary>
internal sealed class RespCommand(string name, int arity, CommandBody? body)
{
    /// <summary>Value of <see cref="StrictArguments"/> for a command that the native client sends in several forms.</summary>
    public const int AnyCount = -1;

    /// <summary>Name in lower case; "container|sub" for a subcommand, as Redis names it in errors.</summary>
    public string Name { get; } = name;

    public byte[] NameBytes { get; } = Encoding.ASCII.GetBytes(name[(name.IndexOf('|') + 1)..]);

    /// <summary>Arguments with the name; negative: at least that many.</summary>
    public int Arity { get; } = arity;

    public CommandBody? Body { get; } = body;

    /// <summary>What a caller must be allowed.</summary>
    public AccessRights Rights { get; init; }

    /// <summary>Whether it may come before authentication.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Flags as COMMAND shows them.</summary>
    public string[] Flags { get; init; } = [];

    /// <summary>Index of the first key; 0: no keys.</summary>
    public int FirstKey { get; init; }

    /// <summary>Index of the last key; negative: counted from the end.</summary>
    public int LastKey { get; init; }

    public int KeyStep { get; init; } = 1;

    /// <summary>Index of the first argument that is a value and may be streamed; 0: none. Further ones every <see cref="KeyStep"/>.</summary>
    public int FirstValue { get; init; }

    /// <summary>
    /// Number of arguments with which LMCache's native client sends this command; 0 for commands that it does not know. As long as a
    /// connection has sent nothing else it gets no error after authentication: <see cref="StrictReply"/> instead.
    /// </summary>
    public int StrictArguments { get; init; }

    /// <summary>What such a client is told when the command cannot be done.</summary>
    public byte[] StrictReply { get; init; } = [];

    public IReadOnlyDictionary<string, RespCommand> Subcommands { get; init; } = new Dictionary<string, RespCommand>();

    /// <summary>Whether the native client sends this command with so many arguments.</summary>
    public bool IsStrict(int arguments) => StrictArguments == arguments || StrictArguments == AnyCount;

    public bool Accepts(int arguments) => Arity >= 0 ? arguments == Arity : arguments >= -Arity;

    /// <summary>Whether the argument at this index is a value, whose key is the argument before its options.</summary>
    public bool IsValue(int index) =>
        FirstValue > 0 && index >= FirstValue && (index == FirstValue || (LastKey < 0 && (index - FirstValue) % KeyStep == 0));

    /// <summary>Index of the key that the value at <paramref name="valueIndex"/> belongs to.</summary>
    public int KeyOfValue(int valueIndex) => FirstKey + (valueIndex - FirstValue);
}
