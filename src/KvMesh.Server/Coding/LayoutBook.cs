using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text.Json;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Payloads;
using KvMesh.Server.Options;

namespace KvMesh.Server.Coding;

/// <summary>
/// The layouts that this node knows: those of its file, the built-in ones, and those that earlier runs wrote blocks with, which are only read.
/// Any thread.
/// </summary>
internal sealed class LayoutBook : ILayoutSource
{
    public const string FileName = "layouts.json";

    /// <summary>Folder of the data directory with the layouts of earlier runs, so that a changed file makes no block unreadable.</summary>
    private const string KeptFolder = "layouts";

    private const int MaxEntries = 1024;
    private const long MaxFileBytes = 1024 * 1024;

    /// <summary>Most models whose layout is remembered: fleets serve a few, and clients may write anything.</summary>
    private const int MaxRemembered = 4096;

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    private readonly List<LayoutEntry> _entries;
    private readonly Dictionary<(ulong, ulong), LayoutEntry> _byHash = [];
    private readonly ConcurrentDictionary<string, LayoutEntry?> _byModel = new(StringComparer.Ordinal);
    private readonly bool _hasKeyPatterns;

    private LayoutBook(IEnumerable<LayoutEntry> entries, IEnumerable<LayoutEntry> kept)
    {
        _entries = [.. entries];
        _hasKeyPatterns = _entries.Any(entry => entry.Keys.Count > 0);
        foreach (var entry in _entries.Concat(kept))
        {
            _byHash.TryAdd(HashKey(entry.Layout.Hash), entry);
        }
    }

    /// <summary>What rules may name.</summary>
    public IEnumerable<string> Names => _entries.Select(entry => entry.Name).Append(BlockShapes.DescribedName).Append(CodecRuleOptions.Opaque);

    /// <summary>Path of the file that counts.</summary>
    public static string PathOf(NodeOptions options) =>
        options.Codecs.LayoutFile.Length > 0 ? options.Codecs.LayoutFile : Path.Combine(options.DataDirectory, FileName);

    /// <summary>Reads file and built-in layouts, and nothing of earlier runs.</summary>
    /// <exception cref="LayoutFileException">The file is not there, though an option names it, or not one of layouts.</exception>
    public static LayoutBook Load(NodeOptions options) => new(EntriesOf(options), []);

    /// <summary>As <see cref="Load"/>, and keeps the file's layouts for later runs, whose own may be others.</summary>
    /// <exception cref="IOException">The folder cannot be written or read.</exception>
    public static LayoutBook Open(NodeOptions options)
    {
        var entries = EntriesOf(options);
        var folder = Path.Combine(options.DataDirectory, KeptFolder);
        foreach (var entry in entries.Where(entry => entry.Text is not null))
        {
            Directory.CreateDirectory(folder);
            Keep(folder, entry);
        }

        return new LayoutBook(entries, Directory.Exists(folder) ? ReadKept(folder) : []);
    }

    /// <summary>The layout of that hash; null when it is not known.</summary>
    public LayoutEntry? FindByHash(ReadOnlySpan<byte> hash) =>
        _byHash.TryGetValue(HashKey(hash), out var entry) && entry.Layout.Hash.SequenceEqual(hash) ? entry : null;

    public KvLayout? Find(ReadOnlySpan<byte> hash) => FindByHash(hash)?.Layout;

    /// <summary>The layout of a model as keys name it; null when it is not known.</summary>
    public LayoutEntry? FindByModel(string model)
    {
        if (_byModel.TryGetValue(model, out var known))
        {
            return known;
        }

        var found = _entries.Find(entry => entry.NamesModel(model));
        if (_byModel.Count < MaxRemembered)
        {
            _byModel.TryAdd(model, found);
        }

        return found;
    }

    /// <summary>The layout of a key that says nothing else; null when none is told of it.</summary>
    public LayoutEntry? FindByKey(ReadOnlySpan<byte> key)
    {
        if (!_hasKeyPatterns)
        {
            return null;
        }

        var text = System.Text.Encoding.Latin1.GetString(key);
        return _entries.Find(entry => entry.NamesKey(text));
    }

    private static List<LayoutEntry> EntriesOf(NodeOptions options)
    {
        var path = PathOf(options);
        var entries = options.Codecs.LayoutFile.Length > 0 || File.Exists(path) ? ReadFile(path) : [];
        foreach (var name in KnownModels.Names.Where(name => entries.TrueForAll(entry => entry.Name != name)))
        {
            // As models are named on hubs: an owner in front, a variant behind.
            entries.Add(new LayoutEntry(name, KnownModels.Find(name)!, BlockOrder.LayerPartTokenHead)
            {
                Models = [name, $"{name}-*", $"*/{name}", $"*/{name}-*", $"meta-{name}*", $"*/meta-{name}*"],
            });
        }

        // The longest name first: "llama-3.1-8b" is none of "llama-3".
        return [.. entries.OrderByDescending(entry => entry.Text is not null).ThenByDescending(entry => entry.Text is null ? entry.Name.Length : 0)];
    }

    private static List<LayoutEntry> ReadFile(string path)
    {
        using var document = Parse(path);
        if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("layouts", out var list)
            || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > MaxEntries)
        {
            throw new LayoutFileException($"it must hold one object with a list \"layouts\" of at most {MaxEntries} entries.");
        }

        var entries = list.EnumerateArray().Select((element, index) => LayoutText.Read(element, $"layouts[{index}]")).ToList();
        if (entries.GroupBy(entry => entry.Name, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new LayoutFileException($"the name \"{twice.Key}\" is there {twice.Count()} times; once is the limit.");
        }

        return entries;
    }

    private static JsonDocument Parse(string path)
    {
        try
        {
            var bytes = new FileInfo(path).Length;
            return bytes <= MaxFileBytes
                ? JsonDocument.Parse(File.ReadAllBytes(path), Lenient)
                : throw new LayoutFileException($"it has {bytes} bytes; the limit is {MaxFileBytes}.");
        }
        catch (JsonException exception)
        {
            throw new LayoutFileException($"it is not JSON: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new LayoutFileException($"it cannot be read: {exception.Message}", exception);
        }
    }

    private static void Keep(string folder, LayoutEntry entry)
    {
        var path = Path.Combine(folder, Convert.ToHexStringLower(entry.Layout.Hash) + ".json");
        if (!File.Exists(path))
        {
            var unfinished = path + ".tmp";
            File.WriteAllText(unfinished, entry.Text);
            File.Move(unfinished, path, overwrite: true);
        }
    }

    /// <summary>What cannot be read is left out: its blocks are misses.</summary>
    private static List<LayoutEntry> ReadKept(string folder)
    {
        var kept = new List<LayoutEntry>();
        foreach (var path in Directory.EnumerateFiles(folder, "*.json").Take(MaxEntries))
        {
            try
            {
                using var document = Parse(path);
                kept.Add(LayoutText.Read(document.RootElement, Path.GetFileName(path)));
            }
            catch (LayoutFileException)
            {
                continue;
            }
        }

        return kept;
    }

    private static (ulong First, ulong Second) HashKey(ReadOnlySpan<byte> hash) =>
        (BinaryPrimitives.ReadUInt64LittleEndian(hash), BinaryPrimitives.ReadUInt64LittleEndian(hash[sizeof(ulong)..]));
}
