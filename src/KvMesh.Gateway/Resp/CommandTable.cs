using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using KvMesh.Gateway.Resp.Commands;

namespace KvMesh.Gateway.Resp;

/// <summary>All commands by name, in any case. Built once.</summary>
internal sealed class CommandTable
{
    private readonly FrozenDictionary<byte[], RespCommand> _commands;
    private readonly FrozenDictionary<byte[], RespCommand>.AlternateLookup<ReadOnlySpan<byte>> _byName;

    public CommandTable(IEnumerable<RespCommand> commands)
    {
        _commands = commands.ToFrozenDictionary(command => command.NameBytes, CommandNameComparer.Instance);
        _byName = _commands.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    public static CommandTable Default { get; } = new(
    [
        .. StringCommands.All, .. StoreCommands.All, .. KeyCommands.All, .. ExpiryCommands.All, .. IterationCommands.All,
        .. ConnectionCommands.All, .. ClientCommands.All, .. ServerCommands.All, .. InfoCommands.All, .. CommandCommands.All,
        .. ConfigCommands.All, .. ClusterCommands.All,
    ]);

    public int Count => _commands.Count;

    public IEnumerable<RespCommand> All => _commands.Values;

    public RespCommand? Find(ReadOnlySpan<byte> name) => _byName.TryGetValue(name, out var command) ? command : null;

    /// <summary>Compares names byte by byte, letters in any case.</summary>
    private sealed class CommandNameComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static CommandNameComparer Instance { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => System.Text.Ascii.EqualsIgnoreCase(x, y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => System.Text.Ascii.EqualsIgnoreCase(alternate, other);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        /// <summary>Names are few and known: length and three letters tell most of them apart.</summary>
        public int GetHashCode(ReadOnlySpan<byte> alternate) =>
            alternate.IsEmpty ? 0 : alternate.Length | Letter(alternate, 0) << 5 | Letter(alternate, alternate.Length / 2) << 11 | Letter(alternate, alternate.Length - 1) << 17;

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

        private static int Letter(ReadOnlySpan<byte> name, int index) => name[index] & 0x1f;
    }
}
