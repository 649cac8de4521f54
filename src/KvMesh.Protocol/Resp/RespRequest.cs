using System.Text;

namespace KvMesh.Protocol.Resp;

/// <summary>
/// One scanned command: its arguments, in place. Valid until the buffer it was scanned from is consumed. An argument that did
/// not stay in the buffer (a streamed or a drained bulk) has its length and no bytes.
/// </summary>
public readonly ref struct RespRequest
{
    private readonly ReadOnlySpan<byte> _source;
    private readonly ReadOnlySpan<RespArgument> _arguments;

    internal RespRequest(ReadOnlySpan<byte> source, ReadOnlySpan<RespArgument> arguments)
    {
        _source = source;
        _arguments = arguments;
    }

    /// <summary>Arguments, the command's name included.</summary>
    public int Count => _arguments.Length;

    /// <summary>Bytes of an argument; empty when <see cref="IsAbsent"/>.</summary>
    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            var argument = _arguments[index];
            return argument.Offset < 0 ? default : _source.Slice(argument.Offset, argument.Length);
        }
    }

    /// <summary>Length of an argument as it was sent, whether or not its bytes are here.</summary>
    public int LengthOf(int index) => _arguments[index].Length;

    /// <summary>Whether the bytes of this argument went elsewhere.</summary>
    public bool IsAbsent(int index) => _arguments[index].Offset < 0;

    /// <summary>Whether an argument is this word, in any case.</summary>
    public bool Is(int index, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(this[index], word);

    public bool TryGetInteger(int index, out long value) => RespInteger.TryParse(this[index], out value);
}

/// <summary>Where one argument lies, from the start of the request; offset -1 when its bytes are not in the buffer.</summary>
internal readonly record struct RespArgument(int Offset, int Length);
